// y[i] = x[i] for n uvec4; with p.store = 0 only the loads. The device's rates with the accesses of the other
// kernels: 16 bytes a lane, a workgroup's lanes side by side, through a texel buffer where FG_TEXEL is set.
// Dispatch: x = ceil(n / 512): 64 lanes, 8 uvec4 each. n is a multiple of 512.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_bench_copy_push p; };
#ifdef FG_TEXEL
layout(binding = 0) uniform usamplerBuffer x;
#define FG_X(i) texelFetch(x, int(i))
#else
layout(std430, binding = 0) readonly buffer X { uvec4 x[]; };
#define FG_X(i) x[i]
#endif
layout(std430, binding = 1) writeonly buffer Y { uvec4 y[]; };

void main()
{
    uint at = gl_WorkGroupID.x * 512u + gl_LocalInvocationID.x;
    uvec4 v[8];
    if (at >= p.n)
        return;
    [[unroll]] for (uint i = 0u; i < 8u; i++)
        v[i] = FG_X(at + i * 64u);
    if (p.store != 0u) {
        [[unroll]] for (uint i = 0u; i < 8u; i++)
            y[at + i * 64u] = v[i];
        return;
    }
    // Nothing that a compiler can leave out, and nothing that is ever written but by chance.
    uvec4 all = v[0] ^ v[1] ^ v[2] ^ v[3] ^ v[4] ^ v[5] ^ v[6] ^ v[7];
    if (all == uvec4(p.never))
        y[gl_LocalInvocationID.x] = all;
}
