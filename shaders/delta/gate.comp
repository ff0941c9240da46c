// y = ((o * r) * w) * silu(g),  r = 1 / sqrt(mean of o^2 of the head + eps), the sum of four partial sums over
// d = c mod 4, (s0 + s1) + (s2 + s3).
// A workgroup: one head of one token; every lane sums by itself. Dispatch: x = n_head, y = tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

#ifndef FG_LANES
#define FG_LANES 32
#endif
layout(local_size_x = FG_LANES) in;
layout(push_constant) uniform Push { fg_delta_gate_push p; };
layout(std430, binding = 0) readonly buffer O { vec4 o[]; };
layout(std430, binding = 1) readonly buffer X { float x[]; };
layout(std430, binding = 2) readonly buffer W { vec4 w[]; };
layout(std430, binding = 3) writeonly buffer Y { vec4 y[]; };

void main()
{
    uint head = gl_WorkGroupID.x, t = gl_WorkGroupID.y, d4 = p.head_dim / 4u;
    uint o_at = t * (p.ldo / 4u) + head * d4;
    vec4 sum = vec4(0.0);
    for (uint d = 0u; d < d4; d++)
        sum = fg_madd4(sum, o[o_at + d], o[o_at + d]);
    float r = fg_rsqrt(fg_add(fg_mul(fg_sum4(sum), p.inv_n), p.eps));
    for (uint d = gl_LocalInvocationID.x; d < d4; d += FG_LANES) {
        uint g = t * p.ldx + p.gate_at + head * p.head_dim + 4u * d;
        precise vec4 v = o[o_at + d] * r;
        v = v * w[d];
        v = v * vec4(fg_silu(x[g]), fg_silu(x[g + 1u]), fg_silu(x[g + 2u]), fg_silu(x[g + 3u]));
        y[t * (p.ldy / 4u) + head * d4 + d] = fg_flush4(v);
    }
}
