#include "canon.h"

#include <string.h>

uint32_t fg_ref_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float fg_ref_float(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static float magnitude(float x)
{
    return fg_ref_float(fg_ref_bits(x) & 0x7fffffff);
}

float fg_ref_flush(float x)
{
    return magnitude(x) < FG_REF_TINY ? 0.0f : x;
}

/* The Taylor polynomial of e^r, degree 7, by Horner's rule. */
static float exp_poly(float r)
{
    static const float coefficients[] = {
        1.98412698e-4f, 1.38888889e-3f, 8.33333333e-3f, 4.16666667e-2f,
        1.66666667e-1f, 0.5f,           1.0f,           1.0f};
    float p = coefficients[0];

    for (int i = 1; i < 8; i++)
        p = p * r + coefficients[i];
    return p;
}

float fg_ref_exp(float x)
{
    float clamped = x > 88.0f ? 88.0f : (x < -87.0f ? -87.0f : x);
    /* 1.5 x 2^23 leaves no bits for a fraction: the sum is rounded to an integer, ties to even. */
    float n = (clamped * 1.44269504f + 12582912.0f) - 12582912.0f;
    /* ln 2 in two parts, the first with so few bits that n times it is exact. */
    float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
    float power = fg_ref_float((uint32_t)((int32_t)n + 127) << 23);
    float y = exp_poly(r) * power;

    return x < -87.0f ? 0.0f : y;
}

float fg_ref_rcp(float x)
{
    float y = fg_ref_float(0x7EF311C3u - fg_ref_bits(x));

    for (int i = 0; i < 3; i++)
        y = y * (2.0f - x * y);
    /* The last step adds a correction: it loses fewer bits than a product near 1. */
    return y + y * (1.0f - x * y);
}

float fg_ref_rsqrt(float x)
{
    float half = 0.5f * x;
    float y = fg_ref_float(0x5F375A86u - (fg_ref_bits(x) >> 1));

    for (int i = 0; i < 3; i++)
        y = y * (1.5f - (half * y) * y);
    return y + y * (0.5f - (half * y) * y);
}

float fg_ref_sigmoid(float x)
{
    float minus = 0.0f - x;

    return fg_ref_rcp(1.0f + fg_ref_exp(minus > 60.0f ? 60.0f : minus));
}

float fg_ref_silu(float x)
{
    return x * fg_ref_sigmoid(x);
}

float fg_ref_gelu(float x)
{
    float z = x * x;

    z = 1.59576912f * (x * (0.044715f * z + 1.0f));
    return x * fg_ref_sigmoid(z);
}

float fg_ref_log1p(float y)
{
    /* 2 artanh(y / (2 + y)), its series in the square of at most 1/9. */
    static const float odd[] = {5.88235294e-2f, 6.66666667e-2f, 7.69230769e-2f, 9.09090909e-2f,
                                1.11111111e-1f, 1.42857143e-1f, 0.2f,           3.33333333e-1f};
    float s = y * fg_ref_rcp(2.0f + y), z = s * s, twice = s + s;
    float p = odd[0];

    for (size_t i = 1; i < sizeof odd / sizeof *odd; i++)
        p = p * z + odd[i];
    return twice + twice * (z * p);
}

float fg_ref_softplus(float x)
{
    float positive = x > 0.0f ? x : 0.0f, magnitude_of_x = magnitude(x);

    return positive + fg_ref_log1p(fg_ref_exp(0.0f - magnitude_of_x));
}

uint16_t fg_ref_f16_round(float x)
{
    uint32_t sign = fg_ref_bits(x) >> 16 & 0x8000;
    uint32_t mag = fg_ref_bits(x) & 0x7fffffff;
    uint32_t units, drop, q, rest;

    if (mag >= 0x477fe000) /* 65504 */
        return (uint16_t)(sign | 0x7bff);
    if (mag < 0x33000000) /* below 2^-25, half of the smallest denormal */
        return (uint16_t)sign;
    /* `drop` low bits of `units` go; what remains is the f16's magnitude. A carry out of the
     * mantissa moves on to the exponent, as it should. */
    if (mag >= 0x38800000) { /* 2^-14 and above: normal */
        units = mag - 0x38000000;
        drop = 13;
    } else {
        units = (mag & 0x7fffff) | 0x800000;
        drop = 126 - (mag >> 23);
    }
    q = units >> drop;
    rest = units - (q << drop);
    if (rest > 1u << (drop - 1) || (rest == 1u << (drop - 1) && (q & 1)))
        q++;
    return (uint16_t)(sign | q);
}

float fg_ref_f16_expand(uint16_t h)
{
    uint32_t mantissa = h & 0x3ff, exponent = h >> 10 & 31;
    /* Both branches are exact: 10 bits times a power of two. */
    float mag = exponent ? fg_ref_float((exponent + 112) << 23 | mantissa << 13)
                         : (float)mantissa * 0x1p-24f;

    return h & 0x8000 ? -mag : mag;
}
