/* The canonical functions on the device against C, bit for bit, over a million inputs; the
 * self-test's committed hashes against C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/self_test.h"

#include "canon.h"
#include "lab.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { RESULTS = 6, BATCH = 1 << 17 };

/* What self_test/canon.comp computes. */
static void canon_row(uint32_t bits, uint32_t out[RESULTS])
{
    float x = fg_ref_float(bits), a = fg_ref_float(bits & 0x7fffffff);

    a = a < FG_REF_TINY ? FG_REF_TINY : (a > 1.0e30f ? 1.0e30f : a);
    out[0] = fg_ref_bits(fg_ref_exp(x));
    out[1] = fg_ref_bits(fg_ref_rcp(a));
    out[2] = fg_ref_bits(fg_ref_rsqrt(a));
    out[3] = fg_ref_bits(fg_ref_sigmoid(x));
    out[4] = fg_ref_f16_round(x);
    out[5] = fg_ref_bits(fg_ref_f16_expand((uint16_t)(bits & 0xffff)));
}

static const char *const names[RESULTS] = {"exp",     "rcp",       "rsqrt",
                                           "sigmoid", "f16 round", "f16 expand"};

/* Runs the inputs and compares every result with C. */
static void check_inputs(struct lab *lab, const char *what, const uint32_t *bits, uint32_t n)
{
    struct fg_buffer *in = lab_buffer(lab, bits, n * 4u);
    struct fg_buffer *out = lab_buffer(lab, NULL, n * RESULTS * 4u);
    const uint32_t *got = fg_buffer_map(out);

    lab_dispatch(lab, &(struct lab_dispatch){.shader = "self_test_canon",
                                             .buffers = (struct fg_buffer *[]){in, out},
                                             .n = 2,
                                             .push = &n,
                                             .push_bytes = 4,
                                             .groups = {(n + 63) / 64, 1, 1}});
    for (uint32_t i = 0; i < n; i++) {
        uint32_t want[RESULTS];

        canon_row(bits[i], want);
        for (int r = 0; r < RESULTS; r++)
            if (got[i * RESULTS + r] != want[r])
                fail_msg("%s: %s of %08x (%.9g) is %08x, must be %08x", what, names[r], bits[i],
                         (double)fg_ref_float(bits[i]), got[i * RESULTS + r], want[r]);
    }
    fg_buffer_destroy(in);
    fg_buffer_destroy(out);
}

/* All finite floats alike: every exponent. */
static void test_all_exponents(void **state)
{
    uint32_t *bits = lab_alloc(BATCH, 4);
    uint64_t seed = 1;

    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < BATCH; i++)
            do
                bits[i] = lab_bits(&seed);
            while ((bits[i] & 0x7f800000) == 0x7f800000);
        check_inputs(*state, "finite floats", bits, BATCH);
    }
    free(bits);
}

/* Where the functions are used: evenly over -110..110, then closer to 0. */
static void test_common_ranges(void **state)
{
    static const float ranges[] = {110, 20, 1, 1e-3f};
    uint32_t *bits = lab_alloc(BATCH, 4);
    uint64_t seed = 2;

    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++) {
        for (uint32_t i = 0; i < BATCH; i++)
            bits[i] = fg_ref_bits(ranges[r] * lab_noise(&seed));
        check_inputs(*state, "even inputs", bits, BATCH);
    }
    free(bits);
}

/* Around the values where a function changes its ways. */
static void test_edges(void **state)
{
    static const float edges[] = {
        0.0f,      87.0f,    88.0f,      60.0f,    0.34657359f, 0.69314718f, 65504.0f,  65519.0f,
        65520.0f,  65536.0f, 0x1p-14f,   0x1p-24f, 0x1p-25f,    1.0f,        0x1p-100f, 1e30f,
        0x1p-126f, 2.0f,     0x1.8p-24f, 2048.0f,  0x1p-1f,     3.0f};
    enum { AROUND = 2048 };
    uint32_t n = 0, *bits = lab_alloc(sizeof edges / sizeof *edges * 4 * AROUND, 4);

    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++)
        for (uint32_t i = 0; i < 2 * AROUND; i++) {
            uint32_t at = fg_ref_bits(edges[e]);

            if (at < AROUND && i < AROUND)
                continue; /* no floats below 0.0's bits */
            bits[n++] = at + i - AROUND;
            bits[n++] = (at + i - AROUND) | 0x80000000;
        }
    check_inputs(*state, "edges", bits, n);
    free(bits);
}

/* Every f16 expanded, and rounded back from the f32 that it is, from its neighbours and from the
 * ties. */
static void test_all_halves(void **state)
{
    enum { HALVES = 65536, EACH = 5 };
    uint32_t n = 0, *bits = lab_alloc((size_t)HALVES * EACH, 4);

    for (uint32_t h = 0; h < HALVES; h++) {
        uint32_t f = fg_ref_bits(fg_ref_f16_expand((uint16_t)h));
        uint32_t next = fg_ref_bits(fg_ref_f16_expand((uint16_t)(h + 1)));
        uint32_t tie = f + (next - f) / 2;

        bits[n++] = h; /* the low half is what is expanded */
        if ((h & 0x7fff) >= 0x7bff)
            continue;
        bits[n++] = f;
        bits[n++] = tie;
        bits[n++] = tie + 1;
        bits[n++] = (tie & 0x7fffffff) ? tie - 1 : tie;
    }
    for (uint32_t at = 0; at < n; at += BATCH)
        check_inputs(*state, "halves", bits + at, n - at < BATCH ? n - at : BATCH);
    free(bits);
}

/* A device that expands some f16 otherwise must not be told to do it natively. The shader's count
 * is 0 or not; what it leads to is checked on F16 weights in test_matmul. */
static void test_half_probe(void **state)
{
    struct lab *lab = *state;
    uint32_t zeros[4] = {0}, wrong;
    struct fg_buffer *out = lab_buffer(lab, zeros, sizeof zeros);

    lab_dispatch(lab, &(struct lab_dispatch){.shader = "self_test_half",
                                             .buffers = &out,
                                             .n = 1,
                                             .groups = {65536 / 64, 1, 1}});
    wrong = *(const uint32_t *)fg_buffer_map(out);
    print_message("unpackHalf2x16: %u values differ\n", wrong);
    assert_true(wrong <= 65536);
    assert_int_equal(lab->ops.native_f16, wrong == 0);
    fg_buffer_destroy(out);
}

/* --- the self-test --- */

static void test_self_test_canon(void **state)
{
    static uint32_t bits[FG_SELF_TEST_INPUTS], out[FG_SELF_TEST_INPUTS * RESULTS];

    (void)state;
    fg_self_test_canon_inputs(bits);
    for (uint32_t i = 0; i < FG_SELF_TEST_INPUTS; i++) {
        assert_true((bits[i] & 0x7f800000) != 0x7f800000);
        canon_row(bits[i], out + i * RESULTS);
    }
    assert_int_equal(XXH3_64bits(out, sizeof out), fg_self_test_known.canon);
}

static uint64_t self_test_product(enum fg_dtype type, bool int8)
{
    static float x[FG_SELF_TEST_TOKENS * FG_SELF_TEST_K],
        y[FG_SELF_TEST_TOKENS * FG_SELF_TEST_ROWS];
    static uint8_t raw[FG_SELF_TEST_ROWS * FG_SELF_TEST_K * 2];
    struct fg_ref_matrix w = {type, raw, FG_SELF_TEST_K, FG_SELF_TEST_ROWS, int8, NULL};

    assert_true(FG_SELF_TEST_ROWS * fg_dtype_row_bytes(type, FG_SELF_TEST_K) <= sizeof raw);
    fg_self_test_matmul_inputs(type, raw, x);
    fg_ref_matmul(&w, (struct fg_ref_rows){x, FG_SELF_TEST_K}, FG_SELF_TEST_TOKENS, NULL, y,
                  FG_SELF_TEST_ROWS);
    return XXH3_64bits(y, sizeof y);
}

static void test_self_test_products(void **state)
{
    (void)state;
    for (int mode = FG_NUMERICS_EXACT; mode <= FG_NUMERICS_INT8; mode++) {
        bool int8 = mode == FG_NUMERICS_INT8;

        assert_int_equal(self_test_product(FG_Q8_0, int8), fg_self_test_known.q8_0[mode]);
        assert_int_equal(self_test_product(FG_Q4_1, int8), fg_self_test_known.q4_1[mode]);
    }
}

/* The device under test gives the hashes, and the id then names no device. */
static void test_self_test_here(void **state)
{
    struct lab *lab = *state;
    uint8_t ids[2 * FG_NUMERICS_COUNT][16];
    struct fg_ops *o = &lab->ops;
    struct fg_self_test found;
    struct fg_err err;

    for (int i = 0; i < 2 * FG_NUMERICS_COUNT; i++) {
        o->kv_type = i % 2 ? FG_KV_F32 : FG_KV_F16;
        o->numerics = (enum fg_numerics)(i / 2);
        if (fg_ops_init(o, &err) || fg_self_test_run(o, &found, &err))
            fail_msg("%s", err.text);
        assert_int_equal(found.canonical, fg_numerics_portable(o->numerics));
        memcpy(ids[i], found.numerics_id, 16);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(ids[i], ids[j], 16);
    }
    o->numerics = FG_NUMERICS_EXACT;
    if (fg_ops_init(o, &err))
        fail_msg("%s", err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_exponents),
        cmocka_unit_test(test_common_ranges),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_all_halves),
        cmocka_unit_test(test_half_probe),
        cmocka_unit_test(test_self_test_canon),
        cmocka_unit_test(test_self_test_products),
        cmocka_unit_test(test_self_test_here),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
