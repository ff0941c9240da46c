// q, k, v = silu(qkv): q to a row buffer, k and v to the chunk rows of their sequence.
//   qkv [token][head][3][D];  q [token][head][D];  k rows [slot][head][D/4][64] vec4;  v rows [slot][head][64][D/4]
// One invocation: 4 dimensions of q, k and v of one head of one token.
// Dispatch: x = ceil(n_head * D/4 / 32), y = 64 (tokens of the chunk row), z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 32) in;
layout(push_constant) uniform Push { fg_lightning_push p; };
layout(std430, binding = 0) readonly buffer Qkv { vec4 qkv[]; };
layout(std430, binding = 1) writeonly buffer Q { vec4 q[]; };
layout(std430, binding = 2) writeonly buffer K { vec4 k_rows[]; };
layout(std430, binding = 3) writeonly buffer V { vec4 v_rows[]; };
layout(std430, binding = 4) readonly buffer Rows { fg_chunk_row rows[]; };

vec4 silu4(vec4 v)
{
    return fg_flush4(vec4(fg_silu(v.x), fg_silu(v.y), fg_silu(v.z), fg_silu(v.w)));
}

void main()
{
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.z];
    uint d4 = p.head_dim / 4u;
    uint head = gl_GlobalInvocationID.x / d4, d = gl_GlobalInvocationID.x % d4;
    uint i = gl_WorkGroupID.y;
    if (head >= p.n_head || i >= row.n)
        return;
    uint t = row.token + i;
    uint at = t * (p.ldx / 4u) + head * 3u * d4 + d;
    uint j = row.first + i;
    uint slot = row.seq * p.n_head + head;
    q[(t * p.n_head + head) * d4 + d] = silu4(qkv[at]);
    k_rows[(slot * d4 + d) * 64u + j] = silu4(qkv[at + d4]);
    v_rows[(slot * 64u + j) * d4 + d] = silu4(qkv[at + 2u * d4]);
}
