// The operation of fold.comp, in its order, for the devices of attend_subgroup.comp.
// A workgroup of S lanes: 4 dimensions of k; lane = 4 dimensions of v, E_STEPS times.
// Dispatch: x = D/4, y = n_head, z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#include "../lib/canon.glsl"

#define S FG_SUBGROUP
layout(local_size_x = S) in;
// S (8 lanes) comes from the variant table.
layout(constant_id = 2) const uint D = 64; // head dimension, multiple of 8, at most 256

#define FG_DECAY_BINDING 3
#include "decay.glsl"
layout(binding = 0) uniform samplerBuffer k_rows;
layout(binding = 1) uniform samplerBuffer v_rows;
layout(std430, binding = 2) buffer State { vec4 state[]; };
layout(std430, binding = 4) readonly buffer Rows { fg_chunk_row rows[]; };

const uint D4 = D / 4u;
const uint E_STEPS = (D4 + S - 1u) / S;

shared float to_end[64]; // the decay from row j

void main()
{
    uint lane = gl_LocalInvocationID.x;
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.z];
    if (row.first + row.n != 64u)
        return;
    uint head = gl_WorkGroupID.y, d4 = gl_WorkGroupID.x;
    uint slot = row.seq * p.n_head + head;
    uint k_slot = row.seq * fg_k_heads() + fg_k_head(head);
    for (uint j = lane; j < 64u; j += S)
        to_end[j] = fg_decay(head, slot, 63u, j);
    subgroupBarrier();
    float since = fg_decay_since(head, slot, 63u);
    for (uint s = 0u; s < E_STEPS; s++) {
        uint e = min(s * S + lane, D4 - 1u);
        vec4 acc[4];
        [[unroll]] for (uint c = 0u; c < 4u; c++)
            acc[c] = vec4(0.0);
        for (uint j = 0u; j < 64u; j++) {
            precise vec4 k = to_end[j] * texelFetch(k_rows, int((k_slot * D4 + d4) * 64u + j));
            vec4 v = texelFetch(v_rows, int((slot * 64u + j) * D4 + e));
            [[unroll]] for (uint c = 0u; c < 4u; c++)
                acc[c] = fg_madd4(acc[c], vec4(k[c]), v);
        }
        if (s * S + lane < D4)
            [[unroll]] for (uint c = 0u; c < 4u; c++) {
                uint at = (slot * D + 4u * d4 + c) * D4 + e;
                precise vec4 v = since * state[at] + acc[c];
                state[at] = fg_flush4(v);
            }
    }
}
