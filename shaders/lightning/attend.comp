// o_i = lambda^(i+1) (q_i S) + sum_{j<=i} (lambda^(i-j) (q_i . k_j)) v_j,   i, j counted in the chunk
//
// Order: q . k is four partial sums over d = c mod 4, (s0 + s1) + (s2 + s3); q S ascends in d; the sum over j
// ascends; then lambda^(i+1) * (q S) + sum. S is the state at the chunk's start, [slot][head][D (of k)][D (of v)].
//
// FG_DELTA is the gated delta rule: u for v, e^(G_i - G_j) for lambda^(i-j). FG_SYSTEM, with it, is what a token's u
// takes from the chunk before it, with k_i in the place of q_i:
//   m_ij = e^(G_i - G_j) (k_i . k_j) for j < i,  left_i = v_i - e^(G_i) (k_i S)
// A workgroup of 64: up to QT tokens of one chunk row and one head.
// Dispatch: x = n_head, y = 64 / QT, z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint QT = 1; // 1..8 tokens
layout(constant_id = 2) const uint D = 64; // head dimension, multiple of 8, at most 256

#define FG_DECAY_BINDING 4
#include "decay.glsl"
#ifdef FG_SYSTEM
layout(std430, binding = 0) readonly buffer K { vec4 k_rows[]; };
layout(std430, binding = 1) buffer Left { vec4 left[]; };     // [token][head][D]: v in
layout(std430, binding = 2) writeonly buffer M { float m[]; }; // [token][head][64]
#else
layout(std430, binding = 0) readonly buffer Q { vec4 q[]; };
layout(std430, binding = 1) readonly buffer K { vec4 k_rows[]; };
layout(std430, binding = 2) readonly buffer V { vec4 v_rows[]; };
layout(std430, binding = 6) writeonly buffer O { vec4 o[]; };
#endif
layout(std430, binding = 3) readonly buffer S { vec4 state[]; };
layout(std430, binding = 5) readonly buffer Rows { fg_chunk_row rows[]; };

const uint D4 = D / 4u;
const uint E_LANES = D4;
const uint T_LANES = 64u / E_LANES < QT ? 64u / E_LANES : QT;
const uint T_STEPS = (QT + T_LANES - 1u) / T_LANES;

shared float q_rows[QT * D];
#ifndef FG_SYSTEM
shared float w_rows[QT * 64u];
#endif

// Of this invocation; the functions below are main()'s parts, in order.
uint lane, head, t0, n, slot, k_slot;
uint i0; // in the chunk
fg_chunk_row row;

void load_queries()
{
    for (uint i = lane; i < QT * D4; i += 64u) {
        uint t = t0 + min(i / D4, n - 1u);
#ifdef FG_SYSTEM
        vec4 v = k_rows[(k_slot * D4 + i % D4) * 64u + row.first + t];
#else
        vec4 v = q[((row.token + t) * fg_k_heads() + fg_k_head(head)) * D4 + i % D4];
#endif
        q_rows[4u * i] = v.x;
        q_rows[4u * i + 1u] = v.y;
        q_rows[4u * i + 2u] = v.z;
        q_rows[4u * i + 3u] = v.w;
    }
}

// Lane = j.
void weights()
{
    vec4 acc[QT];
    [[unroll]] for (uint t = 0u; t < QT; t++)
        acc[t] = vec4(0.0);
    for (uint d = 0u; d < D4; d++) {
        vec4 k = k_rows[(k_slot * D4 + d) * 64u + lane];
        [[unroll]] for (uint t = 0u; t < QT; t++)
            acc[t] = fg_madd4(acc[t],
                              vec4(q_rows[t * D + 4u * d], q_rows[t * D + 4u * d + 1u],
                                   q_rows[t * D + 4u * d + 2u], q_rows[t * D + 4u * d + 3u]),
                              k);
    }
    [[unroll]] for (uint t = 0u; t < QT; t++) {
        uint i = min(i0 + t, 63u);
        float w = fg_mul(fg_decay(head, slot, i, min(lane, i)), fg_sum4(acc[t]));
#ifdef FG_SYSTEM
        if (t < n && lane < i)
            m[((row.token + t0 + t) * p.n_head + head) * 64u + lane] = fg_flush(w);
#else
        w_rows[t * 64u + lane] = w;
#endif
    }
}

// 4 dimensions e of v, of every T_LANES-th token from tl on.
void outputs(uint e, uint tl)
{
    vec4 inter[T_STEPS], intra[T_STEPS];
    [[unroll]] for (uint s = 0u; s < T_STEPS; s++)
        inter[s] = intra[s] = vec4(0.0);
    for (uint d = 0u; d < D; d++) {
        vec4 sv = state[(slot * D + d) * D4 + e];
        [[unroll]] for (uint s = 0u; s < T_STEPS; s++) {
            uint t = min(tl + s * T_LANES, QT - 1u);
            inter[s] = fg_madd4(inter[s], vec4(q_rows[t * D + d]), sv);
        }
    }
#ifndef FG_SYSTEM
    for (uint j = 0u; j < i0 + n; j++) {
        vec4 v = v_rows[(slot * 64u + j) * D4 + e];
        [[unroll]] for (uint s = 0u; s < T_STEPS; s++) {
            uint t = min(tl + s * T_LANES, QT - 1u);
            intra[s] = j <= i0 + t ? fg_madd4(intra[s], vec4(w_rows[t * 64u + j]), v) : intra[s];
        }
    }
#endif
    [[unroll]] for (uint s = 0u; s < T_STEPS; s++) {
        uint t = tl + s * T_LANES;
        if (t < n) {
            float since = fg_decay_since(head, slot, i0 + t);
#ifdef FG_SYSTEM
            uint at = ((row.token + t0 + t) * p.n_head + head) * D4 + e;
            precise vec4 y = left[at] - fg_mul4(inter[s], since);
            left[at] = fg_flush4(y);
#else
            vec4 y = fg_madd4(intra[s], vec4(since), inter[s]);
            o[(row.token + t0 + t) * (p.ldo / 4u) + head * D4 + e] = fg_flush4(y);
#endif
        }
    }
}

void main()
{
    lane = gl_LocalInvocationID.x;
    head = gl_WorkGroupID.x;
    row = rows[p.row0 + gl_WorkGroupID.z];
    t0 = gl_WorkGroupID.y * QT;
    if (t0 >= row.n)
        return;
    n = min(QT, row.n - t0);
    slot = row.seq * p.n_head + head;
    k_slot = row.seq * fg_k_heads() + fg_k_head(head);
    i0 = row.first + t0;
    load_queries();
    barrier();
    if (lane < i0 + n)
        weights();
    barrier();
    if (lane / E_LANES < T_LANES)
        outputs(lane % E_LANES, lane / E_LANES);
}
