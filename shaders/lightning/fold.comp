// S' = lambda^64 S + sum_j (lambda^(63-j) k_j) v_j^T, for chunk rows that end their chunk. The sum ascends in j.
// FG_DELTA is the gated delta rule: u for v, e^(G_63 - G_j) for lambda^(63-j), e^(G_63) for lambda^64.
// One invocation: 4 dimensions of v for one dimension of k. Dispatch: x = ceil(D * D/4 / 64), y = n_head, z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
#define FG_DECAY_BINDING 3
#include "decay.glsl"
layout(std430, binding = 0) readonly buffer K { float k_rows[]; };
layout(std430, binding = 1) readonly buffer V { vec4 v_rows[]; };
layout(std430, binding = 2) buffer S { vec4 state[]; };
layout(std430, binding = 4) readonly buffer Rows { fg_chunk_row rows[]; };

shared float to_end[64]; // the decay from row j

void main()
{
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.z];
    if (row.first + row.n != 64u)
        return;
    uint d4 = p.head_dim / 4u;
    uint d = gl_GlobalInvocationID.x / d4, e = gl_GlobalInvocationID.x % d4;
    uint head = gl_WorkGroupID.y;
    uint slot = row.seq * p.n_head + head;
    uint k_slot = row.seq * fg_k_heads() + fg_k_head(head);
    to_end[gl_LocalInvocationID.x] = fg_decay(head, slot, 63u, gl_LocalInvocationID.x);
    barrier();
    if (d >= p.head_dim)
        return;
    precise vec4 acc = vec4(0.0);
    for (uint j = 0u; j < 64u; j++) {
        precise float k = to_end[j] * k_rows[((k_slot * d4 + d / 4u) * 64u + j) * 4u + d % 4u];
        acc = acc + k * v_rows[(slot * 64u + j) * d4 + e];
    }
    uint at = (slot * p.head_dim + d) * d4 + e;
    precise vec4 s = fg_decay_since(head, slot, 63u) * state[at] + acc;
    state[at] = fg_flush4(s);
}
