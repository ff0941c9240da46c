/* gguf_quantize(): simple roundings to every type, for models that tests make up. */
#include "gguf_writer.h"
#include "quantize_grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint16_t bf16_from_f32(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int clamp_round(float v, int lo, int hi)
{
    float r = rintf(v);

    return r<(float)lo ? lo : r>(float) hi ? hi : (int)r;
}

/* d as stored, and as the quants divide by it: after rounding to f16. */
static float store_f16(uint8_t *dst, float v)
{
    uint16_t h = fg_f16_from_f32(v);

    memcpy(dst, &h, sizeof h);
    return fg_f16_to_f32(h);
}

static void quantize_q8_0(const float *src, uint8_t *dst)
{
    float most = 0, d;

    for (int i = 0; i < 32; i++)
        most = fmaxf(most, fabsf(src[i]));
    d = store_f16(dst, most / 127);
    for (int i = 0; i < 32; i++)
        dst[2 + i] = (uint8_t)(d != 0 ? clamp_round(src[i] / d, -127, 127) : 0);
}

/* v in steps from lo to hi; 0 where there is no step. */
static int in_steps(float v, float step, int lo, int hi)
{
    return step != 0 ? clamp_round(v / step, lo, hi) : 0;
}

/* The value of the largest magnitude. */
static float extreme(const float *src, int n)
{
    float most = 0;

    for (int i = 0; i < n; i++)
        if (fabsf(src[i]) > fabsf(most))
            most = src[i];
    return most;
}

static void range_of(const float *src, int n, float *lo, float *hi)
{
    *lo = *hi = src[0];
    for (int i = 1; i < n; i++) {
        *lo = fminf(*lo, src[i]);
        *hi = fmaxf(*hi, src[i]);
    }
}

/* Into bytes that are 0: v from bit `at` on. */
static void put_bits(uint8_t *p, int at, int v)
{
    p[at / 8] = (uint8_t)(p[at / 8] | v << at % 8);
}

/* q[32] as 16 bytes of nibbles and, with a fifth bit, 4 bytes of those. */
static void put_nibbles(uint8_t *p, uint8_t *fifth, const int q[32])
{
    for (int i = 0; i < 32; i++) {
        put_bits(p + i % 16, i / 16 * 4, q[i] & 15);
        if (fifth)
            put_bits(fifth, i, q[i] >> 4);
    }
}

/* Q4_0 and Q5_0: `half` is 8 or 16. */
static void quantize_centred(const float *src, int half, uint8_t *dst)
{
    float d = store_f16(dst, extreme(src, 32) / (float)-half); /* which becomes -half exactly */
    int q[32];

    for (int i = 0; i < 32; i++)
        q[i] = in_steps(src[i], d, -half, half - 1) + half;
    put_nibbles(dst + (half == 8 ? 2 : 6), half == 8 ? NULL : dst + 2, q);
}

/* Q4_1 and Q5_1: `most` is 15 or 31. */
static void quantize_from_least(const float *src, int most, uint8_t *dst)
{
    float lo, hi, d, m;
    int q[32];

    range_of(src, 32, &lo, &hi);
    d = store_f16(dst, (hi - lo) / (float)most);
    m = store_f16(dst + 2, lo);
    for (int i = 0; i < 32; i++)
        q[i] = in_steps(src[i] - m, d, 0, most);
    put_nibbles(dst + (most == 15 ? 4 : 8), most == 15 ? NULL : dst + 4, q);
}

static const int8_t iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
static const int8_t e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* Nibbles whose table values times d are nearest. */
static void put_nearest(const float *src, const int8_t table[16], float d, uint8_t *dst)
{
    int q[32];

    for (int i = 0; i < 32; i++) {
        q[i] = 0;
        for (int c = 1; c < 16; c++)
            if (fabsf(src[i] - d * table[c]) < fabsf(src[i] - d * table[q[i]]))
                q[i] = c;
    }
    put_nibbles(dst, NULL, q);
}

static void quantize_mxfp4(const float *src, uint8_t *dst)
{
    float most = fabsf(extreme(src, 32));
    int e = 28;

    while (e < 254 && ldexpf(12, e - 128) < most)
        e++;
    dst[0] = (uint8_t)e;
    put_nearest(src, e2m1, ldexpf(1, e - 128), dst + 1);
}

/* The unsigned e4m3 that is nearest above v, which it then is: what it scales is not clipped. */
static uint8_t e4m3_above(float *v)
{
    for (int e = 0; e < 127; e++) {
        float f = (float)(e >> 3 ? (8 + (e & 7)) << ((e >> 3) - 1) : e) * 0x1p-9f;

        if (f >= *v || e == 126) {
            *v = f;
            return (uint8_t)e;
        }
    }
    return 0;
}

static void quantize_nvfp4(const float *src, uint8_t *dst)
{
    for (int n = 0; n < 4; n++) {
        float padded[32] = {0}, d = fabsf(extreme(src + 16 * n, 16)) / 6;
        uint8_t pairs[16] = {0}; /* i and i + 16: here of 16 elements and zeros */

        memcpy(padded, src + 16 * n, 16 * sizeof *src);
        dst[n] = e4m3_above(&d);
        put_nearest(padded, e2m1, d / 2, pairs);
        for (int i = 0; i < 8; i++)
            dst[4 + 8 * n + i] = (uint8_t)((pairs[i] & 15) | pairs[8 + i] << 4);
    }
}

/* --- blocks of 256 --- */

/* Scales of n parts as integers of at most `most` times one f16, which it returns. */
static float share_scale(const float *scale, int n, int lo, int most, int *out, uint8_t *dst)
{
    float d = store_f16(dst, fabsf(extreme(scale, n)) / (float)most);

    for (int i = 0; i < n; i++)
        out[i] = in_steps(scale[i], d, lo, most);
    return d;
}

/* Least values and steps of n parts: step * q - min, with q up to q_most. */
static void steps_and_minima(const float *src, int n, int q_most, float *step, float *min)
{
    for (int b = 0; b < n; b++) {
        float lo, hi;

        range_of(src + b * 256 / n, 256 / n, &lo, &hi);
        lo = fminf(lo, 0);
        step[b] = (hi - lo) / (float)q_most;
        min[b] = -lo;
    }
}

static void quantize_q45_k(const float *src, bool five, uint8_t *dst)
{
    uint8_t *scales = dst + 4, *quants = dst + (five ? 48 : 16);
    float step[8], min[8], d, dmin;
    int sc[8], m[8];

    steps_and_minima(src, 8, five ? 31 : 15, step, min);
    d = share_scale(step, 8, 0, 63, sc, dst);
    dmin = share_scale(min, 8, 0, 63, m, dst + 2);
    for (int b = 0; b < 8; b++) {
        if (b < 4) {
            put_bits(scales + b, 0, sc[b]);
            put_bits(scales + 4 + b, 0, m[b]);
        } else {
            put_bits(scales + 4 + b, 0, sc[b] & 15);
            put_bits(scales + 4 + b, 4, m[b] & 15);
            put_bits(scales + b - 4, 6, sc[b] >> 4);
            put_bits(scales + b, 6, m[b] >> 4);
        }
        for (int i = 0; i < 32; i++) {
            float v = src[32 * b + i] + dmin * (float)m[b];
            int q = in_steps(v, d * (float)sc[b], 0, five ? 31 : 15);

            put_bits(quants + b / 2 * 32 + i, 4 * (b % 2), q & 15);
            if (five)
                put_bits(dst + 16 + i, b, q >> 4);
        }
    }
}

static void quantize_q2_k(const float *src, uint8_t *dst)
{
    float step[16], min[16], d, dmin;
    int sc[16], m[16];

    steps_and_minima(src, 16, 3, step, min);
    d = share_scale(step, 16, 0, 15, sc, dst + 80);
    dmin = share_scale(min, 16, 0, 15, m, dst + 82);
    for (int n = 0; n < 16; n++)
        dst[n] = (uint8_t)(sc[n] | m[n] << 4);
    for (int k = 0; k < 256; k++) {
        int b = k / 32, n = k / 16;
        float v = src[k] + dmin * (float)m[n];

        put_bits(dst + 16 + b / 4 * 32 + k % 32, 2 * (b % 4), in_steps(v, d * (float)sc[n], 0, 3));
    }
}

/* Q3_K and Q6_K: 16 elements each have a signed scale. */
static void quantize_q36_k(const float *src, bool six, uint8_t *dst)
{
    int half = six ? 32 : 4, sc[16];
    float scale[16], d;

    for (int n = 0; n < 16; n++)
        scale[n] = extreme(src + 16 * n, 16) / (float)-half;
    d = share_scale(scale, 16, six ? -127 : -31, six ? 127 : 31, sc, dst + (six ? 208 : 108));
    for (int n = 0; n < 16; n++) {
        if (six) {
            dst[192 + n] = (uint8_t)sc[n];
            continue;
        }
        put_bits(dst + 96 + n % 8, 4 * (n / 8), (sc[n] + 32) & 15);
        put_bits(dst + 104 + n % 4, 2 * (n / 4), (sc[n] + 32) >> 4);
    }
    for (int k = 0; k < 256; k++) {
        int b = k / 32, i = k % 32;
        int q = in_steps(src[k], d * (float)sc[k / 16], -half, half - 1) + half;

        if (six) {
            put_bits(dst + b / 4 * 64 + b % 2 * 32 + i, 4 * (b / 2 % 2), q & 15);
            put_bits(dst + 128 + b / 4 * 32 + i, 2 * (b % 4), q >> 4);
        } else {
            put_bits(dst + 32 + b / 4 * 32 + i, 2 * (b % 4), q & 3);
            put_bits(dst + i, b, q >> 2);
        }
    }
}

static void quantize_iq4_xs(const float *src, uint8_t *dst)
{
    float scale[8], d;
    int sc[8];

    for (int b = 0; b < 8; b++)
        scale[b] = extreme(src + 32 * b, 32) / -127;
    d = share_scale(scale, 8, -32, 31, sc, dst);
    for (int b = 0; b < 8; b++) {
        put_bits(dst + 2, 2 * b, (sc[b] + 32) >> 4);
        put_bits(dst + 4, 4 * b, (sc[b] + 32) & 15);
        put_nearest(src + 32 * b, iq4, d * (float)sc[b], dst + 8 + 16 * b);
    }
}

/* TQ1_0 and TQ2_0: whole multiples -1, 0, 1. */
static void quantize_tq(const float *src, bool five, uint8_t *dst)
{
    float d = store_f16(dst + (five ? 52 : 64), fabsf(extreme(src, 256)));

    for (int k = 0; !five && k < 256; k++)
        put_bits(dst + k / 128 * 32 + k % 32, k / 32 % 4 * 2, in_steps(src[k], d, -1, 1) + 1);
    for (int i = 0; five && i < 52; i++) {
        int n = i < 48 ? 5 : 4, width = i < 32 ? 32 : i < 48 ? 16 : 4, v = 0;
        int first = i < 32 ? i : i < 48 ? 128 + i : 192 + i;

        for (int t = 0; t < 5; t++)
            v = 3 * v + (t < n ? in_steps(src[first + t * width], d, -1, 1) + 1 : 0);
        dst[i] = (uint8_t)((v * 256 + 242) / 243); /* above all: its trits are the first digits */
    }
}

static void quantize(enum fg_dtype type, const float *src, uint8_t *out)
{
    uint16_t h;

    switch (type) {
    case FG_F32: memcpy(out, src, sizeof *src); break;
    case FG_F16: store_f16(out, *src); break;
    case FG_BF16:
        h = bf16_from_f32(*src);
        memcpy(out, &h, sizeof h);
        break;
    case FG_Q8_0: quantize_q8_0(src, out); break;
    case FG_Q4_0: quantize_centred(src, 8, out); break;
    case FG_Q5_0: quantize_centred(src, 16, out); break;
    case FG_Q4_1: quantize_from_least(src, 15, out); break;
    case FG_Q5_1: quantize_from_least(src, 31, out); break;
    case FG_IQ4_NL: put_nearest(src, iq4, store_f16(out, extreme(src, 32) / -127), out + 2); break;
    case FG_MXFP4: quantize_mxfp4(src, out); break;
    case FG_NVFP4: quantize_nvfp4(src, out); break;
    case FG_Q2_K: quantize_q2_k(src, out); break;
    case FG_Q3_K: quantize_q36_k(src, false, out); break;
    case FG_Q4_K: quantize_q45_k(src, false, out); break;
    case FG_Q5_K: quantize_q45_k(src, true, out); break;
    case FG_Q6_K: quantize_q36_k(src, true, out); break;
    case FG_IQ4_XS: quantize_iq4_xs(src, out); break;
    case FG_TQ1_0: quantize_tq(src, true, out); break;
    case FG_TQ2_0: quantize_tq(src, false, out); break;
    case FG_IQ1_S:
    case FG_IQ1_M:
    case FG_IQ2_XXS:
    case FG_IQ2_XS:
    case FG_IQ2_S:
    case FG_IQ3_XXS:
    case FG_IQ3_S: gguf_quantize_grid(type, src, out); break;
    }
}

void gguf_quantize(enum fg_dtype type, const float *src, void *dst, uint64_t n)
{
    uint64_t step = fg_dtype_block_elems(type);
    size_t bytes = fg_dtype_block_bytes(type);
    uint8_t *out = dst;

    if (n % step != 0)
        abort();
    memset(dst, 0, (size_t)fg_dtype_row_bytes(type, n));
    for (; n > 0; n -= step, src += step, out += bytes)
        quantize(type, src, out);
}
