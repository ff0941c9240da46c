// The operation of attend.comp, in its order, for devices where a subgroup is a vector register and texel
// buffers hold a layer's pages: a workgroup is S lanes (4 or 8) of one subgroup.
//   scores: lane = key (64/S of them in registers); values: lane = D/S dimensions, 8 or 4 at a time
// S divides the subgroup size; D is a multiple of 8. In f16 pages every value is finite, so that keys behind a
// token and before its window, whose weight is 0, add nothing; f32 pages are masked.
// Dispatch: x = n_head / QH, y = token groups, z = segments (1 when n_segments is 0).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#include "params.h"

#define S FG_SUBGROUP
layout(local_size_x = S) in;
// QT (1, 2 tokens) comes from the variant table.
layout(constant_id = 1) const uint QH = 1; // 1..4 query heads, divides n_head / n_head_kv
layout(constant_id = 2) const uint D = 64; // head dimension, multiple of 8
layout(constant_id = 4) const uint FG_NATIVE_F16 = 0; // 0, 1

#define FG_HALF_IN_USE
#include "../lib/canon.glsl"
#include "page.glsl"
#include "merge.glsl"

layout(push_constant) uniform Push { fg_attend_push p; };
layout(binding = 0) uniform samplerBuffer q;
layout(binding = 1) uniform usamplerBuffer pages;
#define FG_Q(i) texelFetch(q, int(i))
#define FG_PAGE(i) texelFetch(pages, int(i))
layout(std430, binding = 2) writeonly buffer O { float o[]; };
layout(std430, binding = 3) readonly buffer Tokens { fg_token_row tokens[]; };
layout(std430, binding = 4) readonly buffer Table { uint table[]; };
layout(std430, binding = 5) readonly buffer Groups { uvec2 groups[]; }; // first token, count
layout(std430, binding = 6) writeonly buffer Partial { float part[]; }; // [token][head][segment][D + 2]
layout(std430, binding = 7) readonly buffer Sinks { float sinks[]; }; // [n_head]

const uint R = QT * QH;
const uint M = 64u / S;                           // keys of a lane
const uint V_STEPS = (D / 8u + S - 1u) / S;       // groups of 8 dimensions of a lane
const uint NV = 2u * V_STEPS;                     // vec4 of them

shared vec4 of_lane[R * S / 4u]; // [row][lane], what the lanes of a subgroup tell each other

#ifdef FG_KV_F32
#define SEEN(r, j) (pos[r] - (tile * 64u + (j)) < p.window)
#else
#define SEEN(r, j) true
#endif
// Keys j and j + 1 of group m, whose weights are h and h + 1 of w: their values, weighted.
#define PAIR(h)                                                                                \
    {                                                                                          \
        uint j = m * S + i + h;                                                                \
        vec4 v0[NV], v1[NV];                                                                   \
        [[unroll]] for (uint n = 0u; n < V_STEPS; n++) {                                       \
            uint at = min(n * S + lane, D / 8u - 1u);                                          \
            load_v(page, at, j, v0[2u * n], v0[2u * n + 1u]);                                  \
            load_v(page, at, j + 1u, v1[2u * n], v1[2u * n + 1u]);                             \
        }                                                                                      \
        [[unroll]] for (uint r = 0u; r < R; r++) {                                             \
            l[r] = fg_add(fg_add(l[r], w[r][h]), w[r][h + 1]);                                 \
            [[unroll]] for (uint n = 0u; n < NV; n++) {                                        \
                vec4 a = acc[r * NV + n], b = fg_madd4(a, vec4(w[r][h]), v0[n]);               \
                a = SEEN(r, j) ? b : a;                                                        \
                b = fg_madd4(a, vec4(w[r][h + 1]), v1[n]);                                     \
                acc[r * NV + n] = SEEN(r, j + 1u) ? b : a;                                     \
            }                                                                                  \
        }                                                                                      \
    }

// Of this invocation; the functions at the end are main()'s parts, in order.
uint lane, head0, kv_head, pos0, tile0, tile1;
uvec2 group;
// Row r: token r / QH of the group, head r % QH. Rows of absent tokens repeat the last.
// Every lane holds all of q: a subgroup broadcast of it for each key costs more, at least where lanes
// are those of a vector register.
vec4 q_row[R * D / 4u];
uint pos[R];
float s[R * M]; // scores of a tile, then weights
vec4 acc[R * NV], o_seg[R * NV], o_all[R * NV];
float c[R], l[R], m_seg[R], l_seg[R], m_all[R], l_all[R];

// Without a loop: SPIRV-Tools' unroller (SwiftShader runs it) leaves loops of three levels alone.
float max4(float a, vec4 b)
{
    a = a < b.x ? b.x : a;
    a = a < b.y ? b.y : a;
    a = a < b.z ? b.z : a;
    return a < b.w ? b.w : a;
}

// Dimensions 8 at .. 8 at + 7 of key j, and of value j.
void load_k(uint page, uint at, uint j, out vec4 a, out vec4 b)
{
#ifdef FG_KV_F32
    a = uintBitsToFloat(FG_PAGE(fg_k_at(page, p.n_head_kv, D, kv_head, 2u * at, j)));
    b = uintBitsToFloat(FG_PAGE(fg_k_at(page, p.n_head_kv, D, kv_head, 2u * at + 1u, j)));
#else
    uvec4 w = FG_PAGE(fg_k_at(page, p.n_head_kv, D, kv_head, at, j));
    a = vec4(fg_f16x2(w.x), fg_f16x2(w.y));
    b = vec4(fg_f16x2(w.z), fg_f16x2(w.w));
#endif
}

void load_v(uint page, uint at, uint j, out vec4 a, out vec4 b)
{
#ifdef FG_KV_F32
    a = uintBitsToFloat(FG_PAGE(fg_v_at(page, p.n_head_kv, D, kv_head, 2u * at, j)));
    b = uintBitsToFloat(FG_PAGE(fg_v_at(page, p.n_head_kv, D, kv_head, 2u * at + 1u, j)));
#else
    uvec4 w = FG_PAGE(fg_v_at(page, p.n_head_kv, D, kv_head, at, j));
    a = vec4(fg_f16x2(w.x), fg_f16x2(w.y));
    b = vec4(fg_f16x2(w.z), fg_f16x2(w.w));
#endif
}

void begin()
{
    [[unroll]] for (uint r = 0u; r < R; r++) {
        uint t = min(r / QH, group.y - 1u);
        pos[r] = pos0 + t;
        [[unroll]] for (uint i = 0u; i < D / 4u; i++)
            q_row[r * (D / 4u) + i] = FG_Q(((group.x + t) * p.ldq + (head0 + r % QH) * D) / 4u + i);
    }
    [[unroll]] for (uint r = 0u; r < R; r++) {
        m_seg[r] = m_all[r] = FG_LOWEST;
        l_seg[r] = l_all[r] = 0.0;
        [[unroll]] for (uint n = 0u; n < NV; n++)
            o_seg[r * NV + n] = o_all[r * NV + n] = vec4(0.0);
    }
}

// Loads come in pairs: the accumulators leave their registers for each.
void scores_of(uint tile, uint page, uint m)
{
    vec4 sum[R];
    [[unroll]] for (uint r = 0u; r < R; r++)
        sum[r] = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < D / 8u; i += 2u) {
        vec4 k0, k1, k2, k3;
        load_k(page, i, m * S + lane, k0, k1);
        if (i + 1u < D / 8u)
            load_k(page, i + 1u, m * S + lane, k2, k3);
        [[unroll]] for (uint r = 0u; r < R; r++) {
            uint at = r * (D / 4u) + 2u * i;
            sum[r] = fg_madd4(sum[r], q_row[at], k0);
            sum[r] = fg_madd4(sum[r], q_row[at + 1u], k1);
            if (i + 1u < D / 8u) {
                sum[r] = fg_madd4(sum[r], q_row[at + 2u], k2);
                sum[r] = fg_madd4(sum[r], q_row[at + 3u], k3);
            }
        }
    }
    [[unroll]] for (uint r = 0u; r < R; r++) {
        bool seen = pos[r] - (tile * 64u + m * S + lane) < p.window;
        float score = seen ? fg_mul(fg_sum4(sum[r]), p.scale) : FG_LOWEST;
        [[unroll]] for (uint k = 0u; k < M; k++)
            s[r * M + k] = k == m ? score : s[r * M + k];
    }
}

// Loops over m stay loops, for the compiler's sake: element m of an array in registers is chosen.
void scores(uint tile, uint page)
{
    [[unroll]] for (uint i = 0u; i < R * M; i++)
        s[i] = FG_LOWEST;
    for (uint m = 0u; m < M; m++)
        scores_of(tile, page, m);
}

void weights(uint tile, bool fresh)
{
    [[unroll]] for (uint r = 0u; r < R; r++) {
        float before = fresh ? FG_LOWEST : m_seg[r], top = before, high = FG_LOWEST;
        [[unroll]] for (uint m = 0u; m < M; m++)
            high = high < s[r * M + m] ? s[r * M + m] : high;
        subgroupBarrier();
        of_lane[(r * S + lane) / 4u][lane % 4u] = high;
        subgroupBarrier();
        [[unroll]] for (uint i = 0u; i < S / 4u; i++)
            top = max4(top, of_lane[r * S / 4u + i]);
        precise float step = before - top;
        c[r] = fg_exp(step);
        m_seg[r] = top;
        l[r] = 0.0;
        [[unroll]] for (uint m = 0u; m < M; m++) {
            precise float d = s[r * M + m] - top;
            bool seen = pos[r] - (tile * 64u + m * S + lane) < p.window;
            s[r * M + m] = seen ? fg_exp(d) : 0.0;
        }
    }
}

void values(uint tile, uint page)
{
    [[unroll]] for (uint i = 0u; i < R * NV; i++)
        acc[i] = vec4(0.0);
    uint n_keys = min(64u, pos0 + group.y - tile * 64u);
    for (uint m = 0u; m * S < n_keys; m++) {
        subgroupBarrier();
        [[unroll]] for (uint r = 0u; r < R; r++) {
            float weight = s[r * M];
            [[unroll]] for (uint k = 1u; k < M; k++)
                weight = k == m ? s[r * M + k] : weight;
            of_lane[(r * S + lane) / 4u][lane % 4u] = weight;
        }
        subgroupBarrier();
        [[unroll]] for (uint i = 0u; i < S; i += 4u) {
            vec4 w[R];
            [[unroll]] for (uint r = 0u; r < R; r++)
                w[r] = of_lane[(r * S + i) / 4u];
            PAIR(0)
            PAIR(2)
        }
    }
}

// The tile joins its segment, and with the segment's last tile that joins those before it.
void join(uint tile, bool fresh)
{
    bool full = tile % FG_C_SEGMENT_TILES == FG_C_SEGMENT_TILES - 1u || tile + 1u == tile1;
    bool merge = full && p.n_segments == 0u;
    [[unroll]] for (uint r = 0u; r < R; r++) {
        l_seg[r] = fresh ? l[r] : fg_madd(l[r], l_seg[r], c[r]);
        [[unroll]] for (uint n = 0u; n < NV; n++)
            o_seg[r * NV + n] = fresh ? acc[r * NV + n]
                                      : fg_madd4(acc[r * NV + n], o_seg[r * NV + n], vec4(c[r]));
        bool first = tile / FG_C_SEGMENT_TILES == tile0 / FG_C_SEGMENT_TILES;
        // A segment that begins behind the row's token holds none of its keys.
        if (merge && (first || tile / FG_C_SEGMENT_TILES * FG_C_SEGMENT_TILES * 64u <= pos[r])) {
            fg_merge_factors f = fg_merge(m_all[r], m_seg[r]);
            m_all[r] = first ? m_seg[r] : f.m;
            l_all[r] = first ? l_seg[r] : fg_merge_value(f, l_all[r], l_seg[r]);
            [[unroll]] for (uint n = 0u; n < NV; n++)
                o_all[r * NV + n] =
                    first ? o_seg[r * NV + n]
                          : fg_madd4(fg_mul4(o_all[r * NV + n], f.c1), o_seg[r * NV + n],
                                     vec4(f.c2));
        }
    }
}

void write_row(uint r)
{
    bool live = r / QH < group.y;
    uint t = group.x + r / QH, head = head0 + r % QH;
    uint part_at = ((t * p.n_head + head) * p.n_segments + gl_WorkGroupID.z) * (D + 2u);
    uint o_at = t * p.ldo + head * D;
    float from_keys = 1.0, total = l_all[r];
    if (p.sinks != 0u) {
        fg_merge_factors f = fg_merge(m_all[r], sinks[head]);
        from_keys = f.c1;
        total = fg_merge_value(f, l_all[r], 1.0);
    }
    float inv = p.n_segments == 0u ? fg_rcp(total) : 0.0;
    if (live && p.n_segments != 0u && lane == 0u) {
        part[part_at + D] = m_seg[r];
        part[part_at + D + 1u] = l_seg[r];
    }
    [[unroll]] for (uint n = 0u; n < NV; n++) {
        uint d = ((n / 2u) * S + lane) * 8u + (n % 2u) * 4u;
        if (live && d < D) {
            vec4 y = fg_mul4(fg_mul4(o_all[r * NV + n], from_keys), inv);
            [[unroll]] for (uint k = 0u; k < 4u; k++)
                if (p.n_segments != 0u)
                    part[part_at + d + k] = o_seg[r * NV + n][k];
                else
                    o[o_at + d + k] = fg_flush(y[k]);
        }
    }
}

void main()
{
    lane = gl_SubgroupInvocationID % S;
    head0 = gl_WorkGroupID.x * QH;
    kv_head = head0 / (p.n_head / p.n_head_kv);
    group = groups[p.group0 + gl_WorkGroupID.y];
    pos0 = tokens[group.x].pos;
    uint pages_at = tokens[group.x].seq * p.max_pages;
    // Software devices run the loop below until lanes beyond the workgroup have left it too, and what those
    // loaded is 0: one tile for them, not 2^26.
    uint n_tiles = (pos0 + max(group.y, 1u) - 1u) / 64u + 1u;
    tile0 = fg_first_key(pos0, p.window) / 64u;
    tile1 = n_tiles;
    if (p.n_segments != 0u) {
        uint from = gl_WorkGroupID.z * FG_C_SEGMENT_TILES;
        tile0 = max(tile0, from);
        tile1 = min(from + FG_C_SEGMENT_TILES, n_tiles);
        if (tile0 >= tile1)
            return;
    }
    begin();
    for (uint tile = tile0; tile < tile1; tile++) {
        uint page = table[pages_at + tile];
        bool fresh = tile % FG_C_SEGMENT_TILES == 0u || tile == tile0;
        scores(tile, page);
        weights(tile, fresh);
        values(tile, page);
        join(tile, fresh);
    }
    [[unroll]] for (uint r = 0u; r < R; r++)
        write_row(r);
}
