// A token's decay and the rule's strength, of each head of v.
//   g = a * softplus(alpha + bias);  G_i = G_(i-1) + g, from 0 at the chunk's start;  b = sigmoid(beta)
//   x [token][.., alpha of all heads, beta];  G [slot][head][64];  b [token][head]
// A workgroup of 64: the tokens of one chunk row, one head. Dispatch: x = n_head, y = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_delta_push p; };
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer A { float a[]; };
layout(std430, binding = 2) readonly buffer Bias { float bias[]; };
layout(std430, binding = 3) buffer G { float log_decay[]; };
layout(std430, binding = 4) writeonly buffer B { float strength[]; };
layout(std430, binding = 5) readonly buffer Rows { fg_chunk_row rows[]; };

shared float g[64];

void main()
{
    uint head = gl_WorkGroupID.x, i = gl_LocalInvocationID.x;
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.y];
    uint alpha_at = (2u * p.n_head_k + 2u * p.n_head) * p.head_dim + head;
    uint at = (row.seq * p.n_head + head) * 64u + row.first;
    float sum = row.first == 0u ? 0.0 : log_decay[at - 1u];
    if (i < row.n) {
        uint t = row.token + i;
        float alpha = fg_add(x[t * p.ldx + alpha_at], bias[head]);
        g[i] = fg_flush(fg_mul(a[head], fg_softplus(alpha)));
        strength[t * p.n_head + head] =
            fg_flush(fg_sigmoid(x[t * p.ldx + alpha_at + p.n_head]));
    }
    barrier();
    if (i >= row.n)
        return;
    for (uint j = 0u; j <= i; j++)
        sum = fg_flush(fg_add(sum, g[j]));
    log_decay[at + i] = sum;
}
