#include "dtype.h"

#include <stddef.h>
#include <string.h>

/* Geometry of one block. */
struct shape {
    uint32_t type;
    uint32_t elems;
    uint32_t bytes;
    const char *name;
};

static const struct shape shapes[] = {
    {FG_F32, 1, 4, "F32"},     {FG_F16, 1, 2, "F16"},     {FG_BF16, 1, 2, "BF16"},
    {FG_Q8_0, 32, 34, "Q8_0"}, {FG_Q4_0, 32, 18, "Q4_0"}, {FG_Q4_1, 32, 20, "Q4_1"},
};

static const struct shape *shape_of(uint32_t type)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (shapes[i].type == type)
            return &shapes[i];
    return NULL;
}

bool fg_dtype_known(uint32_t type)
{
    return shape_of(type) != NULL;
}

const char *fg_dtype_name(enum fg_dtype type)
{
    const struct shape *s = shape_of((uint32_t)type);

    return s ? s->name : "unknown";
}

uint32_t fg_dtype_block_elems(enum fg_dtype type)
{
    const struct shape *s = shape_of((uint32_t)type);

    return s ? s->elems : 0;
}

uint32_t fg_dtype_block_bytes(enum fg_dtype type)
{
    const struct shape *s = shape_of((uint32_t)type);

    return s ? s->bytes : 0;
}

uint64_t fg_dtype_row_bytes(enum fg_dtype type, uint64_t n)
{
    const struct shape *s = shape_of((uint32_t)type);

    if (!s || n % s->elems != 0 || n / s->elems > UINT64_MAX / s->bytes)
        return 0;
    return n / s->elems * s->bytes;
}

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

float fg_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exp = h >> 10 & 0x1f;
    uint32_t frac = h & 0x3ff;

    if (exp == 0x1f) /* infinity, or a NaN with its payload */
        return float_of_bits(sign | 0x7f800000 | frac << 13);
    if (exp == 0) {
        if (frac == 0)
            return float_of_bits(sign);
        /* A denormal is frac * 2^-24; f32 has room to normalize it. */
        exp = 1;
        while (!(frac & 0x400)) {
            frac <<= 1;
            exp--;
        }
        frac &= 0x3ff;
    }
    /* exp may have wrapped below 0; adding the difference of the biases brings it back. */
    return float_of_bits(sign | (exp + 112) << 23 | frac << 13);
}

uint16_t fg_f16_from_f32(float f)
{
    uint32_t bits, mag, frac, shift, half, rest, h;
    uint16_t sign;

    memcpy(&bits, &f, sizeof bits);
    sign = (uint16_t)(bits >> 16 & 0x8000);
    mag = bits & 0x7fffffff;
    if (mag > 0x7f800000) /* a NaN stays one, quiet, whatever its payload's low bits were */
        return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x1ff));
    if (mag >= 0x47800000) /* 65536 and more */
        return (uint16_t)(sign | 0x7c00);
    if (mag >= 0x38800000) { /* normal in f16: 2^-14 and more */
        /* A carry out of the fraction moves into the exponent, up to infinity: as it should. */
        h = (mag - 0x38000000) >> 13;
        rest = mag & 0x1fff;
        half = 0x1000;
    } else {
        if (mag < 0x33000000) /* below 2^-25: nearest is 0 */
            return sign;
        shift = 126 - (mag >> 23); /* 14..24: what turns 1.frac * 2^e into a count of 2^-24 */
        frac = (mag & 0x7fffff) | 0x800000;
        h = frac >> shift;
        rest = frac & ((1u << shift) - 1);
        half = 1u << (shift - 1);
    }
    if (rest > half || (rest == half && (h & 1)))
        h++;
    return (uint16_t)(sign | h);
}

static void expand_q8_0(const unsigned char *p, float *dst, uint64_t n)
{
    for (; n > 0; n -= 32, p += 34, dst += 32) {
        float d = fg_f16_to_f32(load_u16(p));

        for (int i = 0; i < 32; i++)
            dst[i] = (float)(int8_t)p[2 + i] * d;
    }
}

static void expand_q4_0(const unsigned char *p, float *dst, uint64_t n)
{
    for (; n > 0; n -= 32, p += 18, dst += 32) {
        float d = fg_f16_to_f32(load_u16(p));

        for (int i = 0; i < 16; i++) {
            dst[i] = (float)((p[2 + i] & 15) - 8) * d;
            dst[16 + i] = (float)((p[2 + i] >> 4) - 8) * d;
        }
    }
}

static void expand_q4_1(const unsigned char *p, float *dst, uint64_t n)
{
    for (; n > 0; n -= 32, p += 20, dst += 32) {
        float d = fg_f16_to_f32(load_u16(p));
        float m = fg_f16_to_f32(load_u16(p + 2));

        for (int i = 0; i < 16; i++) {
            dst[i] = (float)(p[4 + i] & 15) * d + m;
            dst[16 + i] = (float)(p[4 + i] >> 4) * d + m;
        }
    }
}

void fg_dtype_expand(enum fg_dtype type, const void *src, float *dst, uint64_t n)
{
    const unsigned char *p = src;

    switch (type) {
    case FG_F32: memcpy(dst, src, n * sizeof *dst); break;
    case FG_F16:
        for (uint64_t i = 0; i < n; i++)
            dst[i] = fg_f16_to_f32(load_u16(p + 2 * i));
        break;
    case FG_BF16:
        for (uint64_t i = 0; i < n; i++)
            dst[i] = float_of_bits((uint32_t)load_u16(p + 2 * i) << 16);
        break;
    case FG_Q8_0: expand_q8_0(p, dst, n); break;
    case FG_Q4_0: expand_q4_0(p, dst, n); break;
    case FG_Q4_1: expand_q4_1(p, dst, n); break;
    }
}
