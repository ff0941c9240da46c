/* Blocks of every type to f32. The layouts are ggml's (block_q4_0 and its like). */
#include "dtype.h"
#include "grid.h"

#include <stddef.h>
#include <string.h>

/* IQ4_NL and IQ4_XS: what a nibble stands for. */
static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};
/* MXFP4: twice the e2m1 numbers. */
static const int8_t e2m1_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static float float_of_bits(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint16_t load_u16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t load_u32(const unsigned char *p)
{
    return load_u16(p) | (uint32_t)load_u16(p + 2) << 16;
}

static float load_f16(const unsigned char *p)
{
    return fg_f16_to_f32(load_u16(p));
}

/* --- blocks of 32 --- */

static void expand_q8_0(const unsigned char *p, float *dst)
{
    float d = load_f16(p);

    for (int i = 0; i < 32; i++)
        dst[i] = (float)(int8_t)p[2 + i] * d;
}

/* (nibble - minus) * d + m: the low nibbles of 16 bytes, then their high ones; `fifth` holds a
 * further bit of each of the 32. */
static void expand_nibbles(const unsigned char *p, uint32_t fifth, int minus, float d, float m,
                           float *dst)
{
    for (int i = 0; i < 32; i++) {
        int q = (i < 16 ? p[i] & 15 : p[i - 16] >> 4) | (int)(fifth >> i & 1) << 4;

        dst[i] = (float)(q - minus) * d + m;
    }
}

static void expand_table(const unsigned char *p, const int8_t table[16], float d, float *dst)
{
    for (int i = 0; i < 16; i++) {
        dst[i] = (float)table[p[i] & 15] * d;
        dst[16 + i] = (float)table[p[i] >> 4] * d;
    }
}

/* 2^(e - 128), for table values that are doubled; too small a scale counts as 0
 * (docs/numerics.md). */
static float mxfp4_scale(unsigned char e)
{
    return e < 28 ? 0 : float_of_bits((uint32_t)(e - 1) << 23);
}

/* An unsigned number of 4 bits of exponent and 3 of mantissa, halved for table values that are
 * doubled. ggml takes 0x7f for 0. */
static float nvfp4_scale(unsigned char v)
{
    int e = v >> 3 & 15, m = v & 7;

    if (v == 0x7f)
        return 0;
    return (float)(e ? (8 + m) << (e - 1) : m) * 0x1p-10f;
}

/* Four scales, then 8 bytes for the 16 elements of each. */
static void expand_nvfp4(const unsigned char *p, float *dst)
{
    for (int n = 0; n < 4; n++, dst += 16)
        for (int i = 0; i < 8; i++) {
            unsigned char q = p[4 + 8 * n + i];

            dst[i] = (float)e2m1_values[q & 15] * nvfp4_scale(p[n]);
            dst[8 + i] = (float)e2m1_values[q >> 4] * nvfp4_scale(p[n]);
        }
}

/* --- blocks of 256: eight groups b of 32, i the element in its group --- */

static void expand_q2_k(const unsigned char *p, float *dst)
{
    float d = load_f16(p + 80), dmin = load_f16(p + 82);

    for (int b = 0; b < 8; b++)
        for (int i = 0; i < 32; i++) {
            int scale = p[2 * b + i / 16];
            int q = p[16 + b / 4 * 32 + i] >> 2 * (b % 4) & 3;

            dst[32 * b + i] = (float)(q * (scale & 15)) * d - (float)(scale >> 4) * dmin;
        }
}

/* Scale n of 16: six bits, of which the upper two lie apart. */
static int q3_k_scale(const unsigned char *p, int n)
{
    return ((p[n % 8] >> 4 * (n / 8) & 15) | (p[8 + n % 4] >> 2 * (n / 4) & 3) << 4) - 32;
}

static void expand_q3_k(const unsigned char *p, float *dst)
{
    float d = load_f16(p + 108);

    for (int b = 0; b < 8; b++)
        for (int i = 0; i < 32; i++) {
            int q = (p[32 + b / 4 * 32 + i] >> 2 * (b % 4) & 3) | (p[i] >> b & 1) << 2;

            dst[32 * b + i] = (float)((q - 4) * q3_k_scale(p + 96, 2 * b + i / 16)) * d;
        }
}

/* Scale and minimum of group b, six bits each. Those of the last four are split: the low nibbles in
 * the last four bytes, the rest above the first eight bytes' own six bits. */
static void k_scale_min(const unsigned char *p, int b, int *scale, int *min)
{
    if (b < 4) {
        *scale = p[b] & 63;
        *min = p[4 + b] & 63;
    } else {
        *scale = (p[4 + b] & 15) | p[b - 4] >> 6 << 4;
        *min = p[4 + b] >> 4 | p[b] >> 6 << 4;
    }
}

/* fifth: where the fifth bits are, or NULL. */
static void expand_q45_k(const unsigned char *p, const unsigned char *fifth,
                         const unsigned char *quants, float *dst)
{
    float d = load_f16(p), dmin = load_f16(p + 2);

    for (int b = 0; b < 8; b++) {
        int scale, min;

        k_scale_min(p + 4, b, &scale, &min);
        for (int i = 0; i < 32; i++) {
            int q = quants[b / 2 * 32 + i] >> 4 * (b % 2) & 15;

            if (fifth)
                q |= (fifth[i] >> b & 1) << 4;
            dst[32 * b + i] = (float)(q * scale) * d - (float)min * dmin;
        }
    }
}

static void expand_q6_k(const unsigned char *p, float *dst)
{
    float d = load_f16(p + 208);

    for (int b = 0; b < 8; b++)
        for (int i = 0; i < 32; i++) {
            int low = p[b / 4 * 64 + b % 2 * 32 + i] >> 4 * (b / 2 % 2) & 15;
            int high = p[128 + b / 4 * 32 + i] >> 2 * (b % 4) & 3;
            int scale = (int8_t)p[192 + 2 * b + i / 16];

            dst[32 * b + i] = (float)(((low | high << 4) - 32) * scale) * d;
        }
}

static void expand_iq4_xs(const unsigned char *p, float *dst)
{
    float d = load_f16(p);
    uint32_t high = load_u16(p + 2), low = load_u32(p + 4);

    for (int b = 0; b < 8; b++) {
        int scale = (int)((low >> 4 * b & 15) | (high >> 2 * b & 3) << 4) - 32;

        expand_table(p + 8 + 16 * b, iq4_values, d * (float)scale, dst + 32 * b);
    }
}

/* Element i of 32 * 5, 16 * 5 and 4 * 4: a byte is its trits times 256 / 243, rounded up. */
static int tq1_trit(const unsigned char *p, int i)
{
    int width = i < 160 ? 32 : i < 240 ? 16 : 4, from = i < 160 ? 0 : i < 240 ? 160 : 240;
    unsigned char v = p[from / 5 + (i - from) % width];

    for (int n = (i - from) / width; n > 0; n--)
        v = (unsigned char)(3 * v);
    return 3 * v >> 8;
}

static void expand_tq1_0(const unsigned char *p, float *dst)
{
    float d = load_f16(p + 52);

    for (int i = 0; i < 256; i++)
        dst[i] = (float)(tq1_trit(p, i) - 1) * d;
}

static void expand_tq2_0(const unsigned char *p, float *dst)
{
    float d = load_f16(p + 64);

    for (int b = 0; b < 8; b++)
        for (int i = 0; i < 32; i++)
            dst[32 * b + i] = (float)((p[b / 4 * 32 + i] >> 2 * (b % 4) & 3) - 1) * d;
}

/* One block. */
static void expand(enum fg_dtype type, const unsigned char *p, float *dst)
{
    switch (type) {
    case FG_F32: memcpy(dst, p, sizeof *dst); break;
    case FG_F16: *dst = load_f16(p); break;
    case FG_BF16: *dst = float_of_bits((uint32_t)load_u16(p) << 16); break;
    case FG_Q8_0: expand_q8_0(p, dst); break;
    case FG_Q4_0: expand_nibbles(p + 2, 0, 8, load_f16(p), 0, dst); break;
    case FG_Q4_1: expand_nibbles(p + 4, 0, 0, load_f16(p), load_f16(p + 2), dst); break;
    case FG_Q5_0: expand_nibbles(p + 6, load_u32(p + 2), 16, load_f16(p), 0, dst); break;
    case FG_Q5_1:
        expand_nibbles(p + 8, load_u32(p + 4), 0, load_f16(p), load_f16(p + 2), dst);
        break;
    case FG_IQ4_NL: expand_table(p + 2, iq4_values, load_f16(p), dst); break;
    case FG_MXFP4: expand_table(p + 1, e2m1_values, mxfp4_scale(p[0]), dst); break;
    case FG_NVFP4: expand_nvfp4(p, dst); break;
    case FG_Q2_K: expand_q2_k(p, dst); break;
    case FG_Q3_K: expand_q3_k(p, dst); break;
    case FG_Q4_K: expand_q45_k(p, NULL, p + 16, dst); break;
    case FG_Q5_K: expand_q45_k(p, p + 16, p + 48, dst); break;
    case FG_Q6_K: expand_q6_k(p, dst); break;
    case FG_IQ4_XS: expand_iq4_xs(p, dst); break;
    case FG_TQ1_0: expand_tq1_0(p, dst); break;
    case FG_TQ2_0: expand_tq2_0(p, dst); break;
    case FG_IQ1_S:
    case FG_IQ1_M:
    case FG_IQ2_XXS:
    case FG_IQ2_XS:
    case FG_IQ2_S:
    case FG_IQ3_XXS:
    case FG_IQ3_S: fg_grid_expand(type, p, dst); break;
    }
}

void fg_dtype_expand(enum fg_dtype type, const void *src, float *dst, uint64_t n)
{
    const unsigned char *p = src;
    uint32_t elems = fg_dtype_block_elems(type), bytes = fg_dtype_block_bytes(type);

    for (; n > 0; n -= elems, p += bytes, dst += elems)
        expand(type, p, dst);
}
