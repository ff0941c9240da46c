// The operation of attend.comp, in its order, for devices where a subgroup is a vector register and texel
// buffers hold a layer's rows and states: a workgroup is S lanes of one subgroup, every lane reads all of q.
//   weights: lane = key j; outputs: lane = 4 dimensions of v, E_STEPS at a time
// Loops over d stay loops: unrolled, they take a software device's compiler gigabytes.
// Dispatch: x = n_head, y = 64 / QT, z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#include "../lib/canon.glsl"

#define S FG_SUBGROUP
layout(local_size_x = S) in;
// QT (1, 4 tokens) and S (8 lanes, divides the subgroup size) come from the variant table.
layout(constant_id = 2) const uint D = 64; // head dimension, multiple of 8, at most 256

#define FG_DECAY_BINDING 4
#include "decay.glsl"
#ifdef FG_SYSTEM
layout(binding = 0) uniform samplerBuffer k_rows;
layout(std430, binding = 1) buffer Left { vec4 left[]; };
layout(std430, binding = 2) writeonly buffer M { float m[]; };
#else
layout(binding = 0) uniform samplerBuffer q;
layout(binding = 1) uniform samplerBuffer k_rows;
layout(binding = 2) uniform samplerBuffer v_rows;
layout(std430, binding = 6) writeonly buffer O { vec4 o[]; };
#endif
layout(binding = 3) uniform samplerBuffer state;
layout(std430, binding = 5) readonly buffer Rows { fg_chunk_row rows[]; };

const uint D4 = D / 4u;
// vec4 of v of a lane at a time: for one token whole rows of the state, in the order of memory.
const uint E_MOST = QT == 1u ? 4u : 2u;
const uint E_ROW = (D4 + S - 1u) / S;
const uint E_STEPS = E_ROW > E_MOST ? E_MOST : E_ROW;

#ifndef FG_SYSTEM
shared vec4 weights[QT * 16u]; // [token][key], what the lanes of the subgroup found
#endif

// Of this invocation; the functions below are main()'s parts, in order.
uint lane, head, t0, n, slot, k_slot, n_keys;
uint i0; // in the chunk
fg_chunk_row row;
uint q_at[QT], e[E_STEPS];
vec4 inter[QT * E_STEPS], intra[QT * E_STEPS];

// Dimensions 4 d .. 4 d + 3 of q of token t, or of what stands in its place.
vec4 q_of(uint t, uint d)
{
#ifdef FG_SYSTEM
    return texelFetch(k_rows, int(q_at[t] + 64u * d));
#else
    return texelFetch(q, int(q_at[t] + d));
#endif
}

void weights_of(uint j)
{
    vec4 acc[QT];
    [[unroll]] for (uint t = 0u; t < QT; t++)
        acc[t] = vec4(0.0);
    for (uint d = 0u; d < D4; d++) {
        vec4 k = texelFetch(k_rows, int((k_slot * D4 + d) * 64u + j));
        [[unroll]] for (uint t = 0u; t < QT; t++)
            acc[t] = fg_madd4(acc[t], q_of(t, d), k);
    }
    [[unroll]] for (uint t = 0u; t < QT; t++) {
        uint i = min(i0 + t, 63u);
        float w = fg_mul(fg_decay(head, slot, i, min(j, i)), fg_sum4(acc[t]));
#ifdef FG_SYSTEM
        if (t < n && j < i)
            m[((row.token + t0 + t) * p.n_head + head) * 64u + j] = fg_flush(w);
#else
        weights[t * 16u + j / 4u][j % 4u] = w;
#endif
    }
}

// q S
void by_state()
{
    for (uint d = 0u; d < D4; d++) {
        vec4 qd[QT];
        [[unroll]] for (uint t = 0u; t < QT; t++)
            qd[t] = q_of(t, d);
        [[unroll]] for (uint c = 0u; c < 4u; c++)
            [[unroll]] for (uint s = 0u; s < E_STEPS; s++) {
                vec4 sv = texelFetch(state, int((slot * D + 4u * d + c) * D4 + e[s]));
                [[unroll]] for (uint t = 0u; t < QT; t++)
                    inter[t * E_STEPS + s] = fg_madd4(inter[t * E_STEPS + s], vec4(qd[t][c]), sv);
            }
    }
}

// The sum over j.
void by_rows()
{
#ifndef FG_SYSTEM
    for (uint j0 = 0u; j0 < n_keys; j0 += 4u) {
        vec4 w[QT];
        [[unroll]] for (uint t = 0u; t < QT; t++)
            w[t] = weights[t * 16u + j0 / 4u];
        [[unroll]] for (uint i = 0u; i < 4u; i++) {
            uint j = j0 + i;
            vec4 v[E_STEPS];
            [[unroll]] for (uint s = 0u; s < E_STEPS; s++)
                v[s] = texelFetch(v_rows, int((slot * 64u + j) * D4 + e[s]));
            [[unroll]] for (uint t = 0u; t < QT; t++)
                [[unroll]] for (uint s = 0u; s < E_STEPS; s++)
                    intra[t * E_STEPS + s] =
                        j <= i0 + t ? fg_madd4(intra[t * E_STEPS + s], vec4(w[t][i]), v[s])
                                    : intra[t * E_STEPS + s];
        }
    }
#endif
}

// Of 4 dimensions of v of token t.
void write(uint t, uint e, vec4 before, vec4 within, float since)
{
#ifdef FG_SYSTEM
    uint at = ((row.token + t0 + t) * p.n_head + head) * D4 + e;
    precise vec4 y = left[at] - fg_mul4(before, since);
    left[at] = fg_flush4(y);
#else
    vec4 y = fg_madd4(within, vec4(since), before);
    o[(row.token + t0 + t) * (p.ldo / 4u) + head * D4 + e] = fg_flush4(y);
#endif
}

void outputs(uint e0)
{
    [[unroll]] for (uint s = 0u; s < E_STEPS; s++)
        e[s] = min(e0 + s * S + lane, D4 - 1u);
    [[unroll]] for (uint i = 0u; i < QT * E_STEPS; i++)
        inter[i] = intra[i] = vec4(0.0);
    by_state();
    by_rows();
    [[unroll]] for (uint t = 0u; t < QT; t++) {
        float since = fg_decay_since(head, slot, min(i0 + t, 63u));
        [[unroll]] for (uint s = 0u; s < E_STEPS; s++)
            if (t < n && e0 + s * S + lane < D4)
                write(t, e[s], inter[t * E_STEPS + s], intra[t * E_STEPS + s], since);
    }
}

void main()
{
    lane = gl_SubgroupInvocationID % S;
    head = gl_WorkGroupID.x;
    row = rows[p.row0 + gl_WorkGroupID.z];
    t0 = gl_WorkGroupID.y * QT;
    if (t0 >= row.n)
        return;
    n = min(QT, row.n - t0);
    slot = row.seq * p.n_head + head;
    k_slot = row.seq * fg_k_heads() + fg_k_head(head);
    i0 = row.first + t0;
    n_keys = min(i0 + n, 64u);
    [[unroll]] for (uint t = 0u; t < QT; t++)
#ifdef FG_SYSTEM
        q_at[t] = k_slot * D4 * 64u + row.first + t0 + min(t, n - 1u);
#else
        q_at[t] = ((row.token + t0 + min(t, n - 1u)) * fg_k_heads() + fg_k_head(head)) * D4;
#endif
    for (uint m = 0u; m * S < n_keys; m++)
        weights_of(m * S + lane);
    subgroupBarrier();
    for (uint e0 = 0u; e0 < D4; e0 += E_STEPS * S)
        outputs(e0);
}
