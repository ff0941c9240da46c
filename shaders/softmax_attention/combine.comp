// Merges the segments of attend.comp in ascending order, and the sink, and divides: o = sum / l.
// One invocation: one dimension of one (token, head). Dispatch: x = ceil(D / 64), y = n_head, z = tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"
#include "merge.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_merge_push p; };
layout(std430, binding = 0) readonly buffer Partial { float part[]; }; // [token][head][segment][D + 2]
layout(std430, binding = 1) readonly buffer Tokens { fg_token_row tokens[]; };
layout(std430, binding = 2) writeonly buffer O { float o[]; };
layout(std430, binding = 3) readonly buffer Sinks { float sinks[]; };

void main()
{
    uint d = gl_GlobalInvocationID.x, head = gl_WorkGroupID.y, t = gl_WorkGroupID.z;
    if (d >= p.head_dim)
        return;
    uint n = tokens[t].pos / (64u * FG_C_SEGMENT_TILES) + 1u;
    uint first = fg_first_key(tokens[t].pos, p.window) / (64u * FG_C_SEGMENT_TILES);
    uint stride = p.head_dim + 2u;
    uint at = ((t * p.n_head + head) * p.n_segments + first) * stride;
    precise float v = part[at + d];
    float m = part[at + p.head_dim];
    precise float l = part[at + p.head_dim + 1u];
    for (uint s = first + 1u; s < n; s++) {
        at += stride;
        fg_merge_factors f = fg_merge(m, part[at + p.head_dim]);
        m = f.m;
        l = fg_merge_value(f, l, part[at + p.head_dim + 1u]);
        v = fg_merge_value(f, v, part[at + d]);
    }
    if (p.sinks != 0u) {
        fg_merge_factors f = fg_merge(m, sinks[head]);
        l = fg_merge_value(f, l, 1.0);
        v = v * f.c1;
    }
    precise float y = v * fg_rcp(l);
    o[t * p.ldo + head * p.head_dim + d] = fg_flush(y);
}
