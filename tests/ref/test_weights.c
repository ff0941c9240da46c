/* Every weight type in the reference: matrix products against double arithmetic over the plain
 * expansion, rows of the embedding against the expansion itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ops.h"

enum { ROWS = 37, K = 3 * 256, TOKENS = 67 };

static unsigned char rows[ROWS * K * 4];
static float x[TOKENS * K], y[TOKENS * ROWS];

static const enum fg_dtype types[] = {
    FG_F32,   FG_F16,   FG_BF16,  FG_Q8_0,    FG_Q4_0,   FG_Q4_1,   FG_Q5_0,    FG_Q5_1,  FG_Q2_K,
    FG_Q3_K,  FG_Q4_K,  FG_Q5_K,  FG_Q6_K,    FG_IQ4_NL, FG_IQ4_XS, FG_MXFP4,   FG_NVFP4, FG_TQ1_0,
    FG_TQ2_0, FG_IQ1_S, FG_IQ1_M, FG_IQ2_XXS, FG_IQ2_XS, FG_IQ2_S,  FG_IQ3_XXS, FG_IQ3_S};
enum { TYPES = sizeof types / sizeof types[0] };

static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* An f16 of 2^-4 to 2^-2, of either sign. */
static void put_half(unsigned char *p, uint32_t *seed)
{
    uint16_t h = (uint16_t)(0x2c00 + draw(seed) % 0x800);

    if (draw(seed) % 2)
        h |= 0x8000;
    memcpy(p, &h, sizeof h);
}

/* One block: any quants and small integer scales, ordinary f16 and exponents. */
static void random_block(enum fg_dtype type, unsigned char *p, uint32_t *seed)
{
    uint32_t bytes = fg_dtype_block_bytes(type);

    for (uint32_t i = 0; i < bytes; i++)
        p[i] = (unsigned char)draw(seed);
    switch (type) {
    case FG_F32:
    case FG_BF16: /* the last byte has sign and exponent */
        p[bytes - 1] = (unsigned char)(0x3e | (draw(seed) & 0x80));
        break;
    case FG_F16:
    case FG_Q8_0:
    case FG_Q4_0:
    case FG_Q5_0:
    case FG_IQ4_NL:
    case FG_IQ4_XS:
    case FG_IQ1_S:
    case FG_IQ2_XXS:
    case FG_IQ2_XS:
    case FG_IQ2_S:
    case FG_IQ3_XXS:
    case FG_IQ3_S: put_half(p, seed); break;
    case FG_IQ1_M: /* an f16 of 2^-4 to 2^-2, in nibbles: its high one here, the others are any */
        p[55] = (unsigned char)((p[55] & 15) | 0x20);
        p[53] = (unsigned char)(p[53] | 0xc0);
        break;
    case FG_Q4_1:
    case FG_Q5_1:
    case FG_Q4_K:
    case FG_Q5_K:
        put_half(p, seed);
        put_half(p + 2, seed);
        break;
    case FG_Q2_K:
        put_half(p + 80, seed);
        put_half(p + 82, seed);
        break;
    case FG_Q3_K: put_half(p + 108, seed); break;
    case FG_Q6_K: put_half(p + 208, seed); break;
    case FG_TQ1_0: put_half(p + 52, seed); break;
    case FG_TQ2_0: put_half(p + 64, seed); break;
    case FG_NVFP4:
        for (int i = 0; i < 4; i++)
            p[i] = (unsigned char)(0x30 + draw(seed) % 16);
        break;
    case FG_MXFP4: p[0] = (unsigned char)(124 + draw(seed) % 6); break;
    }
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* Rows and k that do not fill their tile, block and slice where the type allows it. */
static void check_type(enum fg_dtype type)
{
    size_t k = fg_dtype_block_elems(type) == 1 ? K - 9 : K, bytes = fg_dtype_row_bytes(type, k);
    uint32_t seed = 2 + (uint32_t)type;
    struct fg_ref_residual residual = {x, K, 0.75f};
    struct fg_ref_matrix w = {type, rows, k, ROWS, false, NULL};
    double wrong = 0, all = 0;

    for (size_t i = 0; i < TOKENS * K; i++)
        x[i] = (float)(draw(&seed) % 65536) / 32768 - 1;
    for (size_t i = 0; i < ROWS * bytes; i += fg_dtype_block_bytes(type))
        random_block(type, rows + i, &seed);
    fg_ref_matmul(&w, (struct fg_ref_rows){x, K}, TOKENS, &residual, y, ROWS);
    for (size_t r = 0; r < ROWS; r++) {
        float row[K], embd[K];

        fg_dtype_expand(type, rows + r * bytes, row, k);
        fg_ref_embed(&w, (uint32_t)r, 1, embd);
        for (size_t i = 0; i < k; i++)
            assert_true(embd[i] == row[i]);
        for (size_t t = 0; t < TOKENS; t++) {
            double want = 0.75 * x[t * K + r] + dot(row, x + t * K, k);
            double d = y[t * ROWS + r] - want;

            wrong += d * d;
            all += want * want;
        }
    }
    print_message("%s: NMSE %.2g\n", fg_dtype_name(type), wrong / all);
    assert_true(all > 0);
    assert_true(wrong / all < 1e-10);
}

static void products_are_near_double_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES; i++)
        check_type(types[i]);
}

/* Scales of MXFP4 below 2^-100 count as 0: here the greatest such and the least that does not. */
static void mxfp4_scales_end(void **state)
{
    unsigned char block[17];
    float v[32], embd[32];
    struct fg_ref_matrix w = {FG_MXFP4, block, 32, 1, false, NULL};

    (void)state;
    memset(block, 0x77, sizeof block); /* the value 12 */
    for (int e = 0; e < 256; e++) {
        float want = e < 28 ? 0 : ldexpf(12, e - 128);

        block[0] = (unsigned char)e;
        if (isinf(want)) /* e = 252 and above, times 12 */
            continue;
        fg_dtype_expand(FG_MXFP4, block, v, 32);
        fg_ref_embed(&w, 0, 1, embd);
        assert_true(v[0] == want && v[31] == want && embd[0] == want && embd[31] == want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_near_double_ones),
        cmocka_unit_test(mxfp4_scales_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
