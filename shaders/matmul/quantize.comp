// The activations of the mode int8, by blocks of 32:
//   d = flush(max |x| * (1 / 127)),  q = x * (127 * rcp(max |x|)) rounded to the nearest whole number, ties to even
// (both 0 where all of x is 0). A row of nb blocks becomes
//   FG_BYTES   uvec4 [2 nb]: q as signed bytes, then uvec4 [ceil(nb / 4)]: the bits of d
//   otherwise  uvec4 [8 nb]: the bits of q as f32, then the same
// One invocation 4 blocks. Dispatch: x = ceil(ceil(nb / 4) / 32), y = rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 32) in;
layout(push_constant) uniform Push { fg_quantize_push p; };
layout(std430, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, binding = 1) writeonly buffer Q { uvec4 quantized[]; };

// Adding 1.5 x 2^23 rounds to a whole number, which is then in the low bits.
ivec4 whole(vec4 v, float scale)
{
    precise vec4 scaled = v * scale;
    precise vec4 biased = scaled + vec4(12582912.0);
    return ivec4(floatBitsToUint(biased) - 0x4B400000u);
}

uint bytes(ivec4 v)
{
    uvec4 u = uvec4(v) & 255u;
    return u.x | (u.y << 8) | (u.z << 16) | (u.w << 24);
}

float larger(float a, float b)
{
    return a < b ? b : a;
}

// Returns d.
float quantize_block(uint from, uint to)
{
    float most = 0.0;
    for (uint i = 0u; i < 8u; i++) {
        vec4 v = abs(x[from + i]);
        most = larger(most, larger(larger(v.x, v.y), larger(v.z, v.w)));
    }
    float scale = most == 0.0 ? 0.0 : fg_mul(127.0, fg_rcp(most));
#ifdef FG_BYTES
    uvec4 word = uvec4(0u);
    for (uint i = 0u; i < 8u; i++) {
        word[i & 3u] = bytes(whole(x[from + i], scale));
        if ((i & 3u) == 3u)
            quantized[to + i / 4u] = word;
    }
#else
    for (uint i = 0u; i < 8u; i++)
        quantized[to + i] = floatBitsToUint(vec4(whole(x[from + i], scale)));
#endif
    return fg_flush(fg_mul(most, 7.87401575e-3));
}

void main()
{
    uint b0 = gl_GlobalInvocationID.x * 4u, row = gl_WorkGroupID.y;
    if (b0 >= p.n_blocks)
        return;
#ifdef FG_BYTES
    uint to = row * FG_C_BYTE_ROW(p.n_blocks), width = 2u;
#else
    uint to = row * FG_C_WIDE_ROW(p.n_blocks), width = 8u;
#endif
    vec4 d = vec4(0.0);
    for (uint b = b0; b < min(b0 + 4u, p.n_blocks); b++)
        d[b & 3u] = quantize_block(row * p.ldx4 + b * 8u, to + b * width);
    quantized[to + p.n_blocks * width + b0 / 4u] = floatBitsToUint(d);
}
