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
    {FG_F32, 1, 4, "F32"},
    {FG_F16, 1, 2, "F16"},
    {FG_BF16, 1, 2, "BF16"},
    {FG_Q8_0, 32, 34, "Q8_0"},
    {FG_Q4_0, 32, 18, "Q4_0"},
    {FG_Q4_1, 32, 20, "Q4_1"},
    {FG_Q5_0, 32, 22, "Q5_0"},
    {FG_Q5_1, 32, 24, "Q5_1"},
    {FG_IQ4_NL, 32, 18, "IQ4_NL"},
    {FG_MXFP4, 32, 17, "MXFP4"},
    {FG_NVFP4, 64, 36, "NVFP4"},
    {FG_Q2_K, 256, 84, "Q2_K"},
    {FG_Q3_K, 256, 110, "Q3_K"},
    {FG_Q4_K, 256, 144, "Q4_K"},
    {FG_Q5_K, 256, 176, "Q5_K"},
    {FG_Q6_K, 256, 210, "Q6_K"},
    {FG_IQ4_XS, 256, 136, "IQ4_XS"},
    {FG_TQ1_0, 256, 54, "TQ1_0"},
    {FG_TQ2_0, 256, 66, "TQ2_0"},
    {FG_IQ1_S, 256, 50, "IQ1_S"},
    {FG_IQ1_M, 256, 56, "IQ1_M"},
    {FG_IQ2_XXS, 256, 66, "IQ2_XXS"},
    {FG_IQ2_XS, 256, 74, "IQ2_XS"},
    {FG_IQ2_S, 256, 82, "IQ2_S"},
    {FG_IQ3_XXS, 256, 98, "IQ3_XXS"},
    {FG_IQ3_S, 256, 110, "IQ3_S"},
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
