#include "weights.h"
#include "canon.h"
#include "weights_grid.h"

#include <string.h>

static uint16_t load_u16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static float half(const unsigned char *p)
{
    return fg_ref_f16_expand(load_u16(p));
}

enum fg_ref_form fg_ref_form(enum fg_dtype type)
{
    switch (type) {
    case FG_F32:
    case FG_F16:
    case FG_BF16: return FG_REF_PLAIN;
    case FG_Q4_1:
    case FG_Q5_1:
    case FG_Q4_K:
    case FG_Q5_K: return FG_REF_MINIMUM;
    case FG_Q2_K: return FG_REF_MINIMA;
    default: return FG_REF_SCALED;
    }
}

/* n bits from bit `at` on, all in one byte; bit 0 is the lowest one of p[0]. */
static int bits(const unsigned char *p, size_t at, int n)
{
    return p[at / 8] >> at % 8 & ((1 << n) - 1);
}

/* The i-th of 32 nibbles: the low ones of 16 bytes, then their high ones. */
static int nibble(const unsigned char *p, int i)
{
    return i < 16 ? p[i] & 15 : p[i - 16] >> 4;
}

static float iq4(int i)
{
    static const float v[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};

    return v[i];
}

/* Twice the number of 1 sign, 2 exponent and 1 mantissa bit. */
static float e2m1(int i)
{
    int e = i >> 1 & 3, f = i & 1, v = e == 0 ? f : (2 + f) << (e - 1);

    return (float)(i & 8 ? -v : v);
}

/* Types with blocks of 32; p is the block. */
static void load_32(enum fg_dtype type, const unsigned char *p, struct fg_ref_block *o)
{
    int fifth;

    if (type != FG_MXFP4)
        o->d = half(p);
    if (type == FG_Q4_1 || type == FG_Q5_1)
        o->m = half(p + 2);
    for (int i = 0; i < FG_REF_BLOCK; i++) {
        switch (type) {
        case FG_Q8_0: o->q[i] = (float)(int8_t)p[2 + i]; break;
        case FG_Q4_0: o->q[i] = (float)(nibble(p + 2, i) - 8); break;
        case FG_Q4_1: o->q[i] = (float)nibble(p + 4, i); break;
        case FG_Q5_0:
            fifth = bits(p + 2, (size_t)i, 1);
            o->q[i] = (float)(nibble(p + 6, i) + 16 * fifth - 16);
            break;
        case FG_Q5_1:
            fifth = bits(p + 4, (size_t)i, 1);
            o->q[i] = (float)(nibble(p + 8, i) + 16 * fifth);
            break;
        case FG_IQ4_NL: o->q[i] = iq4(nibble(p + 2, i)); break;
        default: o->q[i] = e2m1(nibble(p + 1, i)); break; /* MXFP4 */
        }
    }
    if (type == FG_MXFP4)
        o->d = p[0] < 28 ? 0 : fg_ref_float((uint32_t)(p[0] - 1) << 23);
}

/* The number of 4 bits of exponent and 3 of mantissa, times 2^9; 127 stands for 0. */
static int ue4m3(int v)
{
    int e = v >> 3 & 15, m = v & 7;

    if (v == 127)
        return 0;
    return e == 0 ? m : (8 + m) << (e - 1);
}

/* NVFP4, half b of 64 elements. */
static void load_nvfp4(const unsigned char *p, size_t b, struct fg_ref_block *o)
{
    o->d = 0x1p-10f;
    for (size_t i = 0; i < FG_REF_BLOCK; i++) {
        size_t n = 2 * b + i / 16; /* of 4 scales */
        int q = bits(p + 4 + 8 * n + i % 8, i % 16 / 8 * 4, 4);

        o->q[i] = e2m1(q) * (float)ue4m3(p[n]);
    }
}

/* Scale (which = 0) or minimum (1) of block b, of the 12 bytes of Q4_K and Q5_K. */
static int scale_6bit(const unsigned char *p, size_t b, size_t which)
{
    const unsigned char *own = p + 4 * which + b % 4;

    if (b < 4)
        return bits(own, 0, 6);
    return bits(p + 8 + b % 4, 4 * which, 4) + 16 * bits(own, 6, 2);
}

/* Scale of the 16 elements n of Q3_K. */
static int scale_q3(const unsigned char *p, size_t n)
{
    return bits(p + n % 8, 4 * (n / 8), 4) + 16 * bits(p + 8 + n % 4, 2 * (n / 4), 2) - 32;
}

/* Element i of block b out of a plane of two bits, and of the planes of nibbles of Q4_K and Q6_K.
 */
static int plane2(const unsigned char *p, size_t b, size_t i)
{
    return bits(p + 32 * (b / 4) + i, 2 * (b % 4), 2);
}

static int plane4(const unsigned char *p, size_t b, size_t i)
{
    return bits(p + 32 * (b / 2) + i, 4 * (b % 2), 4);
}

static int plane4_q6(const unsigned char *p, size_t b, size_t i)
{
    return bits(p + 64 * (b / 4) + 32 * (b % 2) + i, 4 * (b / 2 % 2), 4);
}

/* Trit e of 256: powers of 3 that run over a byte. */
static int trit(const unsigned char *p, size_t e)
{
    static const int power[] = {1, 3, 9, 27, 81};
    int v;

    if (e < 160)
        v = p[e % 32] * power[e / 32];
    else if (e < 240)
        v = p[32 + e % 16] * power[(e - 160) / 16];
    else
        v = p[48 + e % 4] * power[(e - 240) / 4];
    return (v & 255) * 3 / 256;
}

/* Types with blocks of 256; p is the block, b which of its 8 parts. */
static void load_256(enum fg_dtype type, const unsigned char *p, size_t b, struct fg_ref_block *o)
{
    int q;

    for (size_t i = 0; i < FG_REF_BLOCK; i++) {
        size_t n = 2 * b + i / 16; /* of 16 scales */

        switch (type) {
        case FG_Q2_K:
            q = plane2(p + 16, b, i) * bits(p + n, 0, 4);
            o->min[i] = (float)bits(p + n, 4, 4);
            break;
        case FG_Q3_K:
            q = plane2(p + 32, b, i) + 4 * bits(p + i, b, 1) - 4;
            q *= scale_q3(p + 96, n);
            break;
        case FG_Q4_K: q = plane4(p + 16, b, i); break;
        case FG_Q5_K: q = plane4(p + 48, b, i) + 16 * bits(p + 16 + i, b, 1); break;
        case FG_Q6_K:
            q = plane4_q6(p, b, i) + 16 * plane2(p + 128, b, i) - 32;
            q *= (int8_t)p[192 + n];
            break;
        case FG_TQ1_0: q = trit(p, 32 * b + i) - 1; break;
        case FG_TQ2_0: q = plane2(p, b, i) - 1; break;
        default: q = (int)iq4(nibble(p + 8 + 16 * b, (int)i)); break; /* IQ4_XS */
        }
        o->q[i] = (float)q;
    }
    switch (type) {
    case FG_Q2_K:
        o->d = half(p + 80);
        o->m = -half(p + 82);
        break;
    case FG_Q3_K: o->d = half(p + 108); break;
    case FG_Q4_K:
    case FG_Q5_K:
        o->d = half(p) * (float)scale_6bit(p + 4, b, 0);
        o->m = -(half(p + 2) * (float)scale_6bit(p + 4, b, 1));
        break;
    case FG_Q6_K: o->d = half(p + 208); break;
    case FG_TQ1_0: o->d = half(p + 52); break;
    case FG_TQ2_0: o->d = half(p + 64); break;
    default: /* IQ4_XS */
        q = bits(p + 4, 4 * b, 4) + 16 * bits(p + 2, 2 * b, 2) - 32;
        o->d = half(p) * (float)q;
        break;
    }
}

void fg_ref_load_block(enum fg_dtype type, const unsigned char *row, size_t k, size_t b,
                       struct fg_ref_block *out)
{
    size_t n = k - b * FG_REF_BLOCK < FG_REF_BLOCK ? k - b * FG_REF_BLOCK : FG_REF_BLOCK;
    size_t elems = fg_dtype_block_elems(type), bytes = fg_dtype_block_bytes(type);
    const unsigned char *p = row + b * FG_REF_BLOCK / elems * bytes;

    memset(out, 0, sizeof *out);
    out->d = 1;
    switch (type) {
    case FG_F32: memcpy(out->q, p, n * sizeof *out->q); break;
    case FG_F16:
        for (size_t i = 0; i < n; i++)
            out->q[i] = half(p + 2 * i);
        break;
    case FG_BF16:
        for (size_t i = 0; i < n; i++)
            out->q[i] = fg_ref_float((uint32_t)load_u16(p + 2 * i) << 16);
        break;
    default:
        if (elems == FG_REF_BLOCK)
            load_32(type, p, out);
        else if (type == FG_NVFP4)
            load_nvfp4(p, b % 2, out);
        else if (fg_ref_has_grid(type))
            fg_ref_load_grid(type, p, b % 8, out);
        else
            load_256(type, p, b % (elems / FG_REF_BLOCK), out);
        break;
    }
}
