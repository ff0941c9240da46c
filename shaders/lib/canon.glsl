// Canonical arithmetic (docs/numerics.md): only f32 +, -, x (never contracted), comparisons, integer
// operations and exact conversions, so that every conforming device computes the same bits.
#ifndef FG_CANON_GLSL
#define FG_CANON_GLSL

const float FG_TINY = 7.888609052210118e-31; // 2^-100
const float FG_LOWEST = -3.0e38;             // below every score, finite

// What is stored has no magnitudes below 2^-100: denormals never matter.
float fg_flush(float x)
{
    return abs(x) < FG_TINY ? 0.0 : x;
}

vec4 fg_flush4(vec4 x)
{
    return vec4(fg_flush(x.x), fg_flush(x.y), fg_flush(x.z), fg_flush(x.w));
}

// Each operation rounded on its own. `precise` holds for scalars and vectors only: sums kept in arrays go
// through these (tools/check-shaders looks at the result).
float fg_add(float a, float b)
{
    precise float v = a + b;
    return v;
}

float fg_mul(float a, float b)
{
    precise float v = a * b;
    return v;
}

vec4 fg_mul4(vec4 a, float b)
{
    precise vec4 v = a * b;
    return v;
}

// acc + a * b
float fg_madd(float acc, float a, float b)
{
    precise float m = a * b;
    precise float v = acc + m;
    return v;
}

vec4 fg_madd4(vec4 acc, vec4 a, vec4 b)
{
    precise vec4 m = a * b;
    precise vec4 v = acc + m;
    return v;
}

// (x + y) + (z + w): four partial sums in the fixed order.
float fg_sum4(vec4 a)
{
    precise float v = (a.x + a.y) + (a.z + a.w);
    return v;
}

// e^x: 2^n by exponent bits times the Taylor polynomial of degree 7 on |r| <= ln(2)/2.
// 0 below -87, e^88 above 88.
float fg_exp(float x0)
{
    precise float x = x0 > 88.0 ? 88.0 : (x0 < -87.0 ? -87.0 : x0);
    // Adding 1.5 x 2^23 rounds to an integer, which is then in the low bits. Subtracting the constant
    // again would give the same number, but SPIRV-Tools' loop unroller (SwiftShader runs it) loses
    // `precise` on the copies of a loop's body, and its folding then cancels the two constants.
    precise float biased = x * 1.44269504 + 12582912.0;
    int whole = int(floatBitsToUint(biased) - 0x4B400000u);
    precise float n = float(whole);
    precise float r = x - n * 0.693359375;
    r = r - n * -2.12194440e-4;
    precise float p = 1.98412698e-4;
    p = p * r + 1.38888889e-3;
    p = p * r + 8.33333333e-3;
    p = p * r + 4.16666667e-2;
    p = p * r + 1.66666667e-1;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    precise float y = p * uintBitsToFloat(uint(whole + 127) << 23);
    return x0 < -87.0 ? 0.0 : y;
}

// 1/x for x in [2^-100, 2^100]: an integer first guess, four Newton steps.
float fg_rcp(float x)
{
    precise float y = uintBitsToFloat(0x7EF311C3u - floatBitsToUint(x));
    precise float e;
    e = x * y;
    y = y * (2.0 - e);
    e = x * y;
    y = y * (2.0 - e);
    e = x * y;
    y = y * (2.0 - e);
    e = x * y;
    e = 1.0 - e;
    e = y * e;
    y = y + e;
    return y;
}

// 1/sqrt(x) for x in [2^-100, 2^100]: an integer first guess, four Newton steps.
float fg_rsqrt(float x)
{
    precise float h = 0.5 * x;
    precise float y = uintBitsToFloat(0x5F375A86u - (floatBitsToUint(x) >> 1));
    precise float e;
    e = h * y;
    e = e * y;
    y = y * (1.5 - e);
    e = h * y;
    e = e * y;
    y = y * (1.5 - e);
    e = h * y;
    e = e * y;
    y = y * (1.5 - e);
    e = h * y;
    e = e * y;
    e = 0.5 - e;
    e = y * e;
    y = y + e;
    return y;
}

float fg_sigmoid(float x)
{
    precise float nx = 0.0 - x;
    precise float d = 1.0 + fg_exp(nx > 60.0 ? 60.0 : nx);
    return fg_rcp(d);
}

float fg_silu(float x)
{
    precise float y = x * fg_sigmoid(x);
    return y;
}

// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), by 1 + tanh(z) = 2 sigmoid(2 z).
float fg_gelu(float x)
{
    precise float z = x * x;
    z = 0.044715 * z;
    z = z + 1.0;
    z = x * z;
    z = 1.59576912 * z;
    precise float y = x * fg_sigmoid(z);
    return y;
}

// ln(1 + y) for y in [0, 1]: 2 artanh(y / (2 + y)), its series.
float fg_log1p(float y)
{
    precise float s = 2.0 + y;
    s = y * fg_rcp(s);
    precise float z = s * s;
    precise float twice = s + s;
    precise float p = 5.88235294e-2;
    p = p * z + 6.66666667e-2;
    p = p * z + 7.69230769e-2;
    p = p * z + 9.09090909e-2;
    p = p * z + 1.11111111e-1;
    p = p * z + 1.42857143e-1;
    p = p * z + 0.2;
    p = p * z + 3.33333333e-1;
    p = z * p;
    p = twice * p;
    p = twice + p;
    return p;
}

// ln(1 + e^x)
float fg_softplus(float x)
{
    precise float nx = 0.0 - abs(x);
    precise float y = (x > 0.0 ? x : 0.0) + fg_log1p(fg_exp(nx));
    return y;
}

// f16 bits (low 16 of h) to f32 by integers: exact for denormals on every device. Weights and the
// cache hold no infinities; their bits give 65536 and above.
float fg_f16_bits(uint h)
{
    uint em = (h & 0x7fffu) << 13;
    precise float small = uintBitsToFloat(em + (113u << 23)) - uintBitsToFloat(113u << 23);
    float mag = (h & 0x7c00u) != 0u ? uintBitsToFloat(em + (112u << 23)) : small;
    return (h & 0x8000u) != 0u ? -mag : mag;
}

// Two f16 in a word. FG_NATIVE_F16: the known-answer self-test found unpackHalf2x16 exact for all
// 65,536 values on this device (a specialization constant of the shaders that include this).
#ifdef FG_HALF_IN_USE
vec2 fg_f16x2(uint w)
{
    if (FG_NATIVE_F16 != 0u)
        return unpackHalf2x16(w);
    return vec2(fg_f16_bits(w & 0xffffu), fg_f16_bits(w >> 16));
}
#endif

// f32 to f16 bits, round to nearest even, magnitudes above 65504 clamped to it.
uint fg_f16_round(float x)
{
    uint b = floatBitsToUint(x);
    uint sign = (b >> 16) & 0x8000u;
    uint a = b & 0x7fffffffu;
    if (a >= 0x477fe000u) // 65504
        return sign | 0x7bffu;
    if (a >= 0x38800000u) { // normal: 2^-14
        uint odd = (a >> 13) & 1u;
        return sign | ((a - 0x38000000u + 0xfffu + odd) >> 13);
    }
    if (a < 0x33000000u) // below 2^-25
        return sign;
    // Denormal: the mantissa with its hidden one, shifted, rounded to nearest even.
    uint m = (a & 0x7fffffu) | 0x800000u;
    uint shift = 126u - (a >> 23);
    uint q = m >> shift;
    uint rest = m & ((1u << shift) - 1u);
    uint half_way = 1u << (shift - 1u);
    if (rest > half_way || (rest == half_way && (q & 1u) == 1u))
        q += 1u;
    return sign | q;
}

#endif
