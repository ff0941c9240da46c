// Whether unpackHalf2x16 is exact here: counts f16 values (finite) that it expands otherwise than by integers.
// One invocation a value. Dispatch: x = 65536 / 64.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer Out { uint wrong; };

void main()
{
    uint h = gl_GlobalInvocationID.x;
    if ((h & 0x7c00u) == 0x7c00u)
        return;
    vec2 v = unpackHalf2x16(h | (h << 16));
    uint want = floatBitsToUint(fg_f16_bits(h));
    if (floatBitsToUint(v.x) != want || floatBitsToUint(v.y) != want)
        atomicAdd(wrong, 1u);
}
