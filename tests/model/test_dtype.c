/* Element types: conversions against arithmetic in double, blocks against numbers done by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "gguf_writer.h"
#include "model/gguf/dtype.h"

static uint32_t bits_of(float f)
{
    uint32_t b;

    memcpy(&b, &f, sizeof b);
    return b;
}

static float float_of(uint32_t b)
{
    float f;

    memcpy(&f, &b, sizeof f);
    return f;
}

/* The value of a finite f16 by its definition. */
static double f16_value(uint16_t h)
{
    int exp = h >> 10 & 31, frac = h & 1023;
    double v = exp == 0 ? ldexp(frac, -24) : ldexp(1024 + frac, exp - 25);

    return h & 0x8000 ? -v : v;
}

/* Nearest f16, ties to even, from the grid's spacing at f; the default rounding does the rest. */
static uint16_t f16_nearest(float f)
{
    uint16_t sign = signbit(f) ? 0x8000 : 0;
    double a = fabs((double)f);
    int e;

    if (a < ldexp(1, -14))
        return (uint16_t)(sign | (uint16_t)rint(ldexp(a, 24)));
    if (a >= 65520)
        return (uint16_t)(sign | 0x7c00);
    frexp(a, &e); /* a = m * 2^e with m in [0.5, 1) */
    return (uint16_t)(sign | (((unsigned)(e + 13) << 10) + (unsigned)rint(ldexp(a, 11 - e))));
}

static void f16_to_f32_is_exact_for_all(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = fg_f16_to_f32((uint16_t)h);

        if ((h & 0x7c00) == 0x7c00) {
            assert_int_equal(bits_of(f), (h & 0x8000) << 16 | 0x7f800000 | (h & 1023) << 13);
            continue;
        }
        assert_true((double)f == f16_value((uint16_t)h));
        assert_int_equal(signbit(f) != 0, h >> 15);
        assert_int_equal(fg_f16_from_f32(f), h);
    }
}

static void f16_from_f32_rounds_to_nearest_even(void **state)
{
    uint32_t x = 12345;

    (void)state;
    /* The midpoint of every two neighbours and the f32 values beside it. */
    for (uint32_t h = 0; h < 0x7c00; h++) {
        double next = h + 1 == 0x7c00 ? 65536 : f16_value((uint16_t)(h + 1));
        float mid = (float)((f16_value((uint16_t)h) + next) / 2);

        assert_int_equal(fg_f16_from_f32(mid), h + (h & 1));
        assert_int_equal(fg_f16_from_f32(-mid), 0x8000 | (h + (h & 1)));
        assert_int_equal(fg_f16_from_f32(float_of(bits_of(mid) - 1)), h);
        assert_int_equal(fg_f16_from_f32(float_of(bits_of(mid) + 1)), h + 1);
    }
    for (int i = 0; i < 1000000; i++) {
        x = x * 1664525 + 1013904223;
        if ((x & 0x7f800000) != 0x7f800000)
            assert_int_equal(fg_f16_from_f32(float_of(x)), f16_nearest(float_of(x)));
    }
}

static void f16_from_f32_at_the_ends(void **state)
{
    (void)state;
    assert_int_equal(fg_f16_from_f32(INFINITY), 0x7c00);
    assert_int_equal(fg_f16_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(fg_f16_from_f32(3.4e38f), 0x7c00);
    assert_int_equal(fg_f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(fg_f16_from_f32(-0.0f), 0x8000);
    assert_int_equal(fg_f16_from_f32(0x1p-149f), 0);
    assert_int_equal(fg_f16_from_f32(-0x1p-25f), 0x8000);
    assert_int_equal(fg_f16_from_f32(0x1.000002p-25f), 1);
    /* NaNs stay NaNs, those whose payload lies in the dropped bits too. */
    assert_int_equal(fg_f16_from_f32(float_of(0x7f800001)), 0x7e00);
    assert_int_equal(fg_f16_from_f32(float_of(0xffc02000)), 0xfe01);
}

static void types_and_sizes(void **state)
{
    static const struct {
        enum fg_dtype type;
        const char *name;
        uint32_t elems, bytes;
    } want[] = {
        {FG_F32, "F32", 1, 4},
        {FG_F16, "F16", 1, 2},
        {FG_BF16, "BF16", 1, 2},
        {FG_Q8_0, "Q8_0", 32, 34},
        {FG_Q4_0, "Q4_0", 32, 18},
        {FG_Q4_1, "Q4_1", 32, 20},
        {FG_Q5_0, "Q5_0", 32, 22},
        {FG_Q5_1, "Q5_1", 32, 24},
        {FG_IQ4_NL, "IQ4_NL", 32, 18},
        {FG_MXFP4, "MXFP4", 32, 17},
        {FG_NVFP4, "NVFP4", 64, 36},
        {FG_Q2_K, "Q2_K", 256, 84},
        {FG_Q3_K, "Q3_K", 256, 110},
        {FG_Q4_K, "Q4_K", 256, 144},
        {FG_Q5_K, "Q5_K", 256, 176},
        {FG_Q6_K, "Q6_K", 256, 210},
        {FG_IQ4_XS, "IQ4_XS", 256, 136},
        {FG_TQ1_0, "TQ1_0", 256, 54},
        {FG_TQ2_0, "TQ2_0", 256, 66},
        {FG_IQ1_S, "IQ1_S", 256, 50},
        {FG_IQ1_M, "IQ1_M", 256, 56},
        {FG_IQ2_XXS, "IQ2_XXS", 256, 66},
        {FG_IQ2_XS, "IQ2_XS", 256, 74},
        {FG_IQ2_S, "IQ2_S", 256, 82},
        {FG_IQ3_XXS, "IQ3_XXS", 256, 98},
        {FG_IQ3_S, "IQ3_S", 256, 110},
    };
    int known = 0;

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_true(fg_dtype_known((uint32_t)want[i].type));
        assert_string_equal(fg_dtype_name(want[i].type), want[i].name);
        assert_int_equal(fg_dtype_block_elems(want[i].type), want[i].elems);
        assert_int_equal(fg_dtype_block_bytes(want[i].type), want[i].bytes);
        assert_int_equal(fg_dtype_row_bytes(want[i].type, 6144),
                         6144 / want[i].elems * want[i].bytes);
    }
    for (uint32_t t = 0; t < 1000; t++)
        known += fg_dtype_known(t);
    assert_int_equal(known, sizeof want / sizeof want[0]);
    assert_false(fg_dtype_known(FG_DTYPE_END));
    assert_false(fg_dtype_known(UINT32_MAX));
    assert_int_equal(fg_dtype_row_bytes(FG_Q8_0, 33), 0);
    assert_int_equal(fg_dtype_row_bytes(FG_Q8_0, UINT64_MAX - 31), 0);
    assert_int_equal(fg_dtype_row_bytes(FG_Q4_K, 576), 0);
    assert_int_equal(fg_dtype_row_bytes(FG_F32, UINT64_C(1) << 62), 0);
    assert_int_equal(fg_dtype_row_bytes(FG_F32, (UINT64_C(1) << 62) - 1), UINT64_MAX - 3);
}

static void plain_types_expand(void **state)
{
    /* One byte in front: no alignment is promised. */
    const uint8_t f16[] = {0, 0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00};
    const uint8_t bf16[] = {0, 0x80, 0x3f, 0x49, 0xc0, 0x00, 0xff};
    const uint8_t f32[] = {0, 0, 0, 0xc0, 0x3f, 0x01, 0, 0, 0x80};
    float v[3];

    (void)state;
    fg_dtype_expand(FG_F16, f16 + 1, v, 3);
    assert_true(v[0] == 1 && v[1] == -2 && v[2] == 0x1p-24f);
    fg_dtype_expand(FG_BF16, bf16 + 1, v, 3);
    assert_true(v[0] == 1 && v[1] == -3.140625f && v[2] == -0x1p127f);
    fg_dtype_expand(FG_F32, f32 + 1, v, 2);
    assert_true(v[0] == 1.5f);
    assert_int_equal(bits_of(v[1]), 0x80000001);
}

static void blocks_expand(void **state)
{
    uint8_t q8[2 * 34] = {0x00, 0x38}, q4[18] = {0x00, 0xb4}, q41[20] = {0x00, 0x40, 0x66, 0xc6};
    float v[64];

    (void)state;
    /* Q8_0: d = 0.5, then a second block with d = -1. */
    for (int i = 0; i < 32; i++)
        q8[2 + i] = (uint8_t)(i * 8 - 128);
    q8[35] = 0xbc;
    q8[36 + 31] = 0x80;
    fg_dtype_expand(FG_Q8_0, q8, v, 64);
    for (int i = 0; i < 32; i++)
        assert_true(v[i] == 0.5f * (float)(i * 8 - 128));
    assert_true(v[62] == 0 && v[63] == 128);
    /* Q4_0: d = -0.25; low nibbles first. */
    for (int i = 0; i < 16; i++)
        q4[2 + i] = (uint8_t)(i | (15 - i) << 4);
    fg_dtype_expand(FG_Q4_0, q4, v, 32);
    for (int i = 0; i < 16; i++) {
        assert_true(v[i] == -0.25f * (float)(i - 8));
        assert_true(v[16 + i] == -0.25f * (float)(7 - i));
    }
    /* Q4_1: d = 2, m = -6.3984375. */
    for (int i = 0; i < 16; i++)
        q41[4 + i] = (uint8_t)(i << 4 | 3);
    fg_dtype_expand(FG_Q4_1, q41, v, 32);
    for (int i = 0; i < 16; i++) {
        assert_true(v[i] == 6 - 6.3984375f);
        assert_true(v[16 + i] == 2 * (float)i - 6.3984375f);
    }
}

/* The writer's quantizers, which other tests build models with. */
static void quantizers_stay_within_half_a_step(void **state)
{
    static const struct {
        enum fg_dtype type;
        float most; /* error against values in [-1, 1), f16 scales included */
    } want[] = {
        {FG_F32, 0},
        {FG_F16, 0x1p-12f},
        {FG_BF16, 0x1p-9f},
        {FG_Q8_0, 0.5f / 127 + 0.001f},
        {FG_Q4_0, 1.0f / 8 + 0.001f}, /* what opposes the largest magnitude is clipped */
        {FG_Q4_1, 1.0f / 15 + 0.002f},
        {FG_Q5_0, 1.0f / 16 + 0.001f},
        {FG_Q5_1, 1.0f / 31 + 0.002f},
        {FG_IQ4_NL, 14.0f / 127 + 0.001f}, /* the same at 113 of 127 */
        {FG_NVFP4, 1.0f / 3},
        {FG_MXFP4, 1.0f / 3},       /* from 4 to 6 of at worst 12 */
        {FG_Q2_K, 1.0f / 3 + 0.2f}, /* here and below the scales are coarse, too */
        {FG_Q3_K, 1.0f / 4 + 0.05f},
        {FG_Q4_K, 1.0f / 15 + 0.04f},
        {FG_Q5_K, 1.0f / 31 + 0.04f},
        {FG_Q6_K, 1.0f / 32 + 0.01f},
        {FG_IQ4_XS, 14.0f / 127 + 0.03f},
        {FG_TQ1_0, 0.5f + 0.001f},
        {FG_TQ2_0, 0.5f + 0.001f},
    };
    float src[256], dst[256];
    uint8_t packed[1024];
    uint32_t x = 7;

    (void)state;
    for (int i = 0; i < 256; i++) {
        x = x * 1664525 + 1013904223;
        src[i] = (float)(x >> 8) * 0x1p-23f - 1;
    }
    for (size_t t = 0; t < sizeof want / sizeof want[0]; t++) {
        gguf_quantize(want[t].type, src, packed, 256);
        fg_dtype_expand(want[t].type, packed, dst, 256);
        for (int i = 0; i < 256; i++)
            assert_true(fabsf(src[i] - dst[i]) <= want[t].most);
    }
}

/* Too coarse for a bound of each element; zeros would be 0.58 off. */
static void quantizers_of_grids_stay_near(void **state)
{
    static const struct {
        enum fg_dtype type;
        float most; /* root mean square of the error against values in [-1, 1) */
    } want[] = {{FG_IQ1_S, 0.33f}, {FG_IQ1_M, 0.32f},   {FG_IQ2_XXS, 0.23f}, {FG_IQ2_XS, 0.23f},
                {FG_IQ2_S, 0.19f}, {FG_IQ3_XXS, 0.14f}, {FG_IQ3_S, 0.09f}};
    float src[256], dst[256];
    uint8_t packed[128];
    uint32_t x = 7;

    (void)state;
    for (int i = 0; i < 256; i++) {
        x = x * 1664525 + 1013904223;
        src[i] = (float)(x >> 8) * 0x1p-23f - 1;
    }
    for (size_t t = 0; t < sizeof want / sizeof want[0]; t++) {
        double wrong = 0;

        gguf_quantize(want[t].type, src, packed, 256);
        fg_dtype_expand(want[t].type, packed, dst, 256);
        for (int i = 0; i < 256; i++)
            wrong += (double)(src[i] - dst[i]) * (src[i] - dst[i]);
        assert_true(sqrt(wrong / 256) <= (double)want[t].most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_to_f32_is_exact_for_all),
        cmocka_unit_test(f16_from_f32_rounds_to_nearest_even),
        cmocka_unit_test(f16_from_f32_at_the_ends),
        cmocka_unit_test(types_and_sizes),
        cmocka_unit_test(plain_types_expand),
        cmocka_unit_test(blocks_expand),
        cmocka_unit_test(quantizers_stay_within_half_a_step),
        cmocka_unit_test(quantizers_of_grids_stay_near),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
