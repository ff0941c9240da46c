// u_i = b_i * (left_i - sum_{j<i} m_ij u_j), j ascending from 0, for the tokens of a chunk row one after the other.
//   left [token][head][D];  m [token][head][64];  b [token][head];  u rows [slot][head][64][D/4]
// One invocation: 4 dimensions of one head of one chunk row; T tokens' sums over the rows before them go together.
// Dispatch: x = ceil(D/4 / 32), y = n_head, z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 32) in;
layout(push_constant) uniform Push { fg_delta_push p; };
layout(std430, binding = 0) readonly buffer Left { vec4 left[]; };
layout(std430, binding = 1) readonly buffer M { float m[]; };
layout(std430, binding = 2) readonly buffer B { float strength[]; };
layout(std430, binding = 3) buffer U { vec4 u_rows[]; };
layout(std430, binding = 4) readonly buffer Rows { fg_chunk_row rows[]; };

const uint T = 4u;

void main()
{
    uint d4 = p.head_dim / 4u, e = gl_GlobalInvocationID.x, head = gl_WorkGroupID.y;
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.z];
    if (e >= d4)
        return;
    uint u_at = (row.seq * p.n_head + head) * 64u * d4 + e;
    for (uint i0 = 0u; i0 < row.n; i0 += T) {
        uint n = min(T, row.n - i0), before = row.first + i0;
        uint at[T]; // token and head
        vec4 within[T], own[T];
        [[unroll]] for (uint t = 0u; t < T; t++) {
            at[t] = (row.token + i0 + min(t, n - 1u)) * p.n_head + head;
            within[t] = own[t] = vec4(0.0);
        }
        for (uint j = 0u; j < before; j++) {
            vec4 u = u_rows[u_at + j * d4];
            [[unroll]] for (uint t = 0u; t < T; t++)
                within[t] = fg_madd4(within[t], vec4(m[at[t] * 64u + j]), u);
        }
        [[unroll]] for (uint t = 0u; t < T; t++) {
            [[unroll]] for (uint j = 0u; j < t; j++)
                if (t < n)
                    within[t] = fg_madd4(within[t], vec4(m[at[t] * 64u + before + j]), own[j]);
            precise vec4 rest = left[at[t] * d4 + e] - within[t];
            own[t] = fg_flush4(fg_mul4(rest, strength[at[t]]));
            if (t < n)
                u_rows[u_at + (before + t) * d4] = own[t];
        }
    }
}
