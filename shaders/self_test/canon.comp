// Known answers of the canonical functions: one row of six results for each of n inputs (bit patterns).
//   exp, rcp, rsqrt, sigmoid (as bits), f16 rounding, f16 expansion of the low half (as bits)
// One invocation an input. Dispatch: x = ceil(n / 64).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { uint n; };
layout(std430, binding = 0) readonly buffer In { uint bits[]; };
layout(std430, binding = 1) writeonly buffer Out { uint result[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i >= n)
        return;
    float x = uintBitsToFloat(bits[i]);
    float a = abs(x);
    a = a < FG_TINY ? FG_TINY : (a > 1.0e30 ? 1.0e30 : a);
    result[6u * i] = floatBitsToUint(fg_exp(x));
    result[6u * i + 1u] = floatBitsToUint(fg_rcp(a));
    result[6u * i + 2u] = floatBitsToUint(fg_rsqrt(a));
    result[6u * i + 3u] = floatBitsToUint(fg_sigmoid(x));
    result[6u * i + 4u] = fg_f16_round(x);
    result[6u * i + 5u] = floatBitsToUint(fg_f16_bits(bits[i] & 0xffffu));
}
