// o = softmax(scale * q K^T) V for the tokens' own prefixes, keys in pages of 64 (a key tile).
//
// Order: a score is four partial sums over d = c mod 4, (s0 + s1) + (s2 + s3), times scale. In a tile:
// m' = max(m, tile max), c = e^(m - m'), p_j = e^(s_j - m'), l = l c + sum_j p_j, o = o c + sum_j p_j v_j, both sums
// ascending in j from 0. A segment is 8 tiles and starts afresh; segments merge in ascending order
// (merge.glsl); at the end o / l.
// A window: a token sees itself and the window - 1 keys before it; tiles that none of the tokens sees are not read.
// A sink is one more score of each head, merged after all keys, with no value: it adds to l alone.
//
// A workgroup of 64: QT tokens of one sequence (a row of `groups`), QH query heads of one kv head.
// Dispatch: x = n_head / QH, y = token groups, z = segments (1 when n_segments is 0).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint QT = 1; // 1..8 tokens
layout(constant_id = 1) const uint QH = 1; // 1..8 query heads, divides n_head / n_head_kv
layout(constant_id = 2) const uint D = 64; // head dimension, multiple of 8, at most 512
layout(constant_id = 4) const uint FG_NATIVE_F16 = 0; // 0, 1

#define FG_HALF_IN_USE
#include "../lib/canon.glsl"
#include "page.glsl"
#include "merge.glsl"

layout(push_constant) uniform Push { fg_attend_push p; };
layout(std430, binding = 0) readonly buffer Q { vec4 q[]; };
layout(std430, binding = 1) readonly buffer Pages { uvec4 pages[]; };
layout(std430, binding = 2) writeonly buffer O { float o[]; };
layout(std430, binding = 3) readonly buffer Tokens { fg_token_row tokens[]; };
layout(std430, binding = 4) readonly buffer Table { uint table[]; };
layout(std430, binding = 5) readonly buffer Groups { uvec2 groups[]; }; // first token, count
layout(std430, binding = 6) writeonly buffer Partial { float part[]; }; // [token][head][segment][D + 2]
layout(std430, binding = 7) readonly buffer Sinks { float sinks[]; }; // [n_head]

const uint R = QT * QH;
const uint E_LANES = D / 8u;                            // lanes along d in the second half
const uint R_LANES = 64u / E_LANES < R ? 64u / E_LANES : R; // rows side by side
const uint R_STEPS = (R + R_LANES - 1u) / R_LANES;

shared vec4 q_rows[R * (D / 4u)];
shared float s_rows[R * 64u];
shared float m_rows[R], c_rows[R];

void load_k(uint at, out vec4 k0, out vec4 k1, uint page, uint head)
{
#ifdef FG_KV_F32
    uint j = gl_LocalInvocationID.x;
    k0 = uintBitsToFloat(pages[fg_k_at(page, p.n_head_kv, D, head, 2u * at, j)]);
    k1 = uintBitsToFloat(pages[fg_k_at(page, p.n_head_kv, D, head, 2u * at + 1u, j)]);
#else
    uvec4 w = pages[fg_k_at(page, p.n_head_kv, D, head, at, gl_LocalInvocationID.x)];
    k0 = vec4(fg_f16x2(w.x), fg_f16x2(w.y));
    k1 = vec4(fg_f16x2(w.z), fg_f16x2(w.w));
#endif
}

void load_v(uint e, uint j, out vec4 v0, out vec4 v1, uint page, uint head)
{
#ifdef FG_KV_F32
    v0 = uintBitsToFloat(pages[fg_v_at(page, p.n_head_kv, D, head, 2u * e, j)]);
    v1 = uintBitsToFloat(pages[fg_v_at(page, p.n_head_kv, D, head, 2u * e + 1u, j)]);
#else
    uvec4 w = pages[fg_v_at(page, p.n_head_kv, D, head, e, j)];
    v0 = vec4(fg_f16x2(w.x), fg_f16x2(w.y));
    v1 = vec4(fg_f16x2(w.z), fg_f16x2(w.w));
#endif
}

// Of this invocation; the functions below are main()'s parts, in order.
uint lane, head0, kv, pos0, tile0, tile1;
uvec2 group;
uint e, r0; // 8 dimensions of the first of its rows
vec4 o0[R_STEPS], o1[R_STEPS], t0[R_STEPS], t1[R_STEPS];
float l[R_STEPS], tl[R_STEPS], tm[R_STEPS];

// The position of row r's token. Rows of absent tokens repeat the last.
uint pos_of(uint r)
{
    return pos0 + min(r / QH, group.y - 1u);
}

// Whether row r sees the key at this position; of a later one the difference wraps.
bool sees(uint r, uint key)
{
    return pos_of(r) - key < p.window;
}

// Row r of the workgroup: token r / QH of the group, head r % QH.
void begin()
{
    for (uint i = lane; i < R * (D / 4u); i += 64u) {
        uint r = i / (D / 4u);
        uint t = group.x + min(r / QH, group.y - 1u);
        q_rows[i] = q[(t * p.ldq + (head0 + r % QH) * D) / 4u + i % (D / 4u)];
    }
    [[unroll]] for (uint i = 0u; i < R_STEPS; i++) {
        t0[i] = t1[i] = o0[i] = o1[i] = vec4(0.0);
        l[i] = tl[i] = 0.0;
        tm[i] = FG_LOWEST;
    }
}

// Lane = key.
void scores(uint tile, uint page)
{
    vec4 acc[R];
    [[unroll]] for (uint r = 0u; r < R; r++)
        acc[r] = vec4(0.0);
    for (uint at = 0u; at < D / 8u; at++) {
        vec4 k0, k1;
        load_k(at, k0, k1, page, kv);
        [[unroll]] for (uint r = 0u; r < R; r++) {
            acc[r] = fg_madd4(acc[r], q_rows[r * (D / 4u) + 2u * at], k0);
            acc[r] = fg_madd4(acc[r], q_rows[r * (D / 4u) + 2u * at + 1u], k1);
        }
    }
    [[unroll]] for (uint r = 0u; r < R; r++) {
        float s = fg_mul(fg_sum4(acc[r]), p.scale);
        s_rows[r * 64u + lane] = sees(r, tile * 64u + lane) ? s : FG_LOWEST;
    }
}

// Lane = row.
void maximum()
{
    float m = m_rows[lane];
    for (uint j = 0u; j < 64u; j++) {
        float s = s_rows[lane * 64u + j];
        m = m < s ? s : m;
    }
    precise float d = m_rows[lane] - m;
    c_rows[lane] = fg_exp(d);
    m_rows[lane] = m;
}

// Lane = key.
void weights(uint tile)
{
    [[unroll]] for (uint r = 0u; r < R; r++) {
        bool live = sees(r, tile * 64u + lane);
        precise float d = s_rows[r * 64u + lane] - m_rows[r];
        s_rows[r * 64u + lane] = live ? fg_exp(d) : 0.0;
    }
}

// The segment that ends with this tile joins those before it.
void merge(uint tile, uint i, uint r)
{
    if (tile / FG_C_SEGMENT_TILES == tile0 / FG_C_SEGMENT_TILES) {
        tm[i] = m_rows[r];
        tl[i] = l[i];
        t0[i] = o0[i];
        t1[i] = o1[i];
    } else if ((tile / FG_C_SEGMENT_TILES) * FG_C_SEGMENT_TILES * 64u <= pos_of(r)) {
        fg_merge_factors f = fg_merge(tm[i], m_rows[r]);
        tm[i] = f.m;
        tl[i] = fg_merge_value(f, tl[i], l[i]);
        t0[i] = fg_madd4(fg_mul4(t0[i], f.c1), o0[i], vec4(f.c2));
        t1[i] = fg_madd4(fg_mul4(t1[i], f.c1), o1[i], vec4(f.c2));
    }
}

// Lane = 8 dimensions of a row.
void values(uint tile, uint page)
{
    vec4 a0[R_STEPS], a1[R_STEPS];
    float sum[R_STEPS];
    [[unroll]] for (uint i = 0u; i < R_STEPS; i++) {
        a0[i] = a1[i] = vec4(0.0);
        sum[i] = 0.0;
    }
    uint n_keys = min(64u, pos0 + group.y - tile * 64u);
    for (uint j = 0u; j < n_keys; j++) {
        vec4 v0, v1;
        load_v(e, j, v0, v1, page, kv);
        [[unroll]] for (uint i = 0u; i < R_STEPS; i++) {
            uint r = min(r0 + i * R_LANES, R - 1u);
            float w = s_rows[r * 64u + j];
            bool live = sees(r, tile * 64u + j);
            sum[i] = fg_add(sum[i], w);
            a0[i] = live ? fg_madd4(a0[i], vec4(w), v0) : a0[i];
            a1[i] = live ? fg_madd4(a1[i], vec4(w), v1) : a1[i];
        }
    }
    bool fresh = tile % FG_C_SEGMENT_TILES == 0u || tile == tile0;
    bool full = tile % FG_C_SEGMENT_TILES == FG_C_SEGMENT_TILES - 1u || tile + 1u == tile1;
    [[unroll]] for (uint i = 0u; i < R_STEPS; i++) {
        uint r = min(r0 + i * R_LANES, R - 1u);
        float c = c_rows[r];
        l[i] = fresh ? sum[i] : fg_madd(sum[i], l[i], c);
        o0[i] = fresh ? a0[i] : fg_madd4(a0[i], o0[i], vec4(c));
        o1[i] = fresh ? a1[i] : fg_madd4(a1[i], o1[i], vec4(c));
        if (full && p.n_segments == 0u)
            merge(tile, i, r);
    }
}

void write_segment(uint i, uint r, uint t, uint head)
{
    uint at = ((t * p.n_head + head) * p.n_segments + gl_WorkGroupID.z) * (D + 2u);
    [[unroll]] for (uint c = 0u; c < 4u; c++) {
        part[at + e * 8u + c] = o0[i][c];
        part[at + e * 8u + 4u + c] = o1[i][c];
    }
    if (e == 0u) {
        part[at + D] = m_rows[r];
        part[at + D + 1u] = l[i];
    }
}

void write_output(uint i, uint t, uint head)
{
    if (p.sinks != 0u) {
        fg_merge_factors f = fg_merge(tm[i], sinks[head]);
        tl[i] = fg_merge_value(f, tl[i], 1.0);
        t0[i] = fg_mul4(t0[i], f.c1);
        t1[i] = fg_mul4(t1[i], f.c1);
    }
    float inv = fg_rcp(tl[i]);
    uint at = t * p.ldo + head * D + e * 8u;
    vec4 y0 = fg_mul4(t0[i], inv);
    vec4 y1 = fg_mul4(t1[i], inv);
    [[unroll]] for (uint c = 0u; c < 4u; c++) {
        o[at + c] = fg_flush(y0[c]);
        o[at + 4u + c] = fg_flush(y1[c]);
    }
}

void main()
{
    lane = gl_LocalInvocationID.x;
    head0 = gl_WorkGroupID.x * QH;
    kv = head0 / (p.n_head / p.n_head_kv);
    group = groups[p.group0 + gl_WorkGroupID.y];
    pos0 = tokens[group.x].pos;
    uint pages_at = tokens[group.x].seq * p.max_pages;
    uint n_tiles = (pos0 + group.y - 1u) / 64u + 1u;
    tile0 = fg_first_key(pos0, p.window) / 64u;
    tile1 = n_tiles;
    if (p.n_segments != 0u) {
        uint from = gl_WorkGroupID.z * FG_C_SEGMENT_TILES;
        tile0 = max(tile0, from);
        tile1 = min(from + FG_C_SEGMENT_TILES, n_tiles);
        if (tile0 >= tile1)
            return;
    }
    e = lane % E_LANES;
    r0 = lane / E_LANES;
    bool e_live = r0 < R_LANES;
    begin();
    barrier();
    for (uint tile = tile0; tile < tile1; tile++) {
        uint page = table[pages_at + tile];
        if ((tile % FG_C_SEGMENT_TILES == 0u || tile == tile0) && lane < R)
            m_rows[lane] = FG_LOWEST;
        scores(tile, page);
        barrier();
        if (lane < R)
            maximum();
        barrier();
        weights(tile);
        barrier();
        if (e_live)
            values(tile, page);
        barrier();
    }
    if (!e_live)
        return;
    [[unroll]] for (uint i = 0u; i < R_STEPS; i++) {
        uint r = r0 + i * R_LANES;
        if (r >= R || r / QH >= group.y)
            continue;
        if (p.n_segments != 0u)
            write_segment(i, r, group.x + r / QH, head0 + r % QH);
        else
            write_output(i, group.x + r / QH, head0 + r % QH);
    }
}
