// Rotates q and k and writes k and v to the KV page of their position, rounded to the cache's type.
//   interleaved: (x[2i], x[2i+1]); neox: (x[i], x[i + rope_dim/2]); dimensions past rope_dim unchanged
//   y0 = x0 * cos - x1 * sin,  y1 = x0 * sin + x1 * cos
// Before that, FG_HEADS, in models that have it: x[i] = (x[i] * r) * w[i], r = 1 / sqrt(mean of x^2 of the head + eps), the sum
// of four partial sums over i = c mod 4, (s0 + s1) + (s2 + s3).
// rope holds (cos, sin) [token][rope_dim/2], made on the host in double.
// One invocation: 8 dimensions of one head. Dispatch: x = ceil((n_head + 2 n_head_kv) * D/8 / 32), y = tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"
#include "../softmax_attention/page.glsl"

layout(local_size_x = 32) in;
#ifdef FG_HEADS
layout(push_constant) uniform Push { fg_rope_heads_push h; };
#define p h.rope
#else
layout(push_constant) uniform Push { fg_rope_push p; };
#endif
layout(std430, binding = 0) readonly buffer Qkv { float qkv[]; }; // [token][heads of q (and gates), of k, of v]
layout(std430, binding = 1) writeonly buffer Rotated { float rotated[]; }; // [token][n_head * D]
layout(std430, binding = 2) writeonly buffer Pages { uvec4 pages[]; };
layout(std430, binding = 3) readonly buffer Tokens { fg_token_row tokens[]; };
layout(std430, binding = 4) readonly buffer Rope { vec2 rope[]; };
layout(std430, binding = 5) readonly buffer Table { uint table[]; };
#ifdef FG_HEADS
layout(std430, binding = 6) readonly buffer QNorm { float q_norm[]; };
layout(std430, binding = 7) readonly buffer KNorm { float k_norm[]; };

bool is_q;
float inv_rms; // of the head

// Element d of the head that begins at `at`, normed.
float normed(uint at, uint d)
{
    float x = qkv[at + d];
    if (h.normed == 0u)
        return x;
    return fg_flush(fg_mul(fg_mul(x, inv_rms), is_q ? q_norm[d] : k_norm[d]));
}

float find_inv_rms(uint at)
{
    vec4 sum = vec4(0.0);
    for (uint d = 0u; d < p.head_dim; d += 4u) {
        vec4 x = vec4(qkv[at + d], qkv[at + d + 1u], qkv[at + d + 2u], qkv[at + d + 3u]);
        sum = fg_madd4(sum, x, x);
    }
    return fg_rsqrt(fg_add(fg_mul(fg_sum4(sum), h.inv_n), h.eps));
}
#else
float normed(uint at, uint d)
{
    return qkv[at + d];
}
#endif

// Element d of the head that begins at `at`, rotated.
float rotate(uint t, uint at, uint d)
{
    if (d >= p.rope_dim)
        return normed(at, d);
    uint half_dim = p.rope_dim / 2u;
    bool second = p.neox != 0u ? d >= half_dim : (d & 1u) == 1u;
    uint i = p.neox != 0u ? (second ? d - half_dim : d) : d / 2u;
    float x0 = normed(at, p.neox != 0u ? i : 2u * i);
    float x1 = normed(at, p.neox != 0u ? i + half_dim : 2u * i + 1u);
    vec2 cs = rope[t * half_dim + i];
    precise float a = second ? x0 * cs.y : x0 * cs.x;
    precise float b = second ? x1 * cs.x : x1 * cs.y;
    precise float y = second ? a + b : a - b;
    return y;
}

void main()
{
    uint t = gl_WorkGroupID.y;
    uint d8 = p.head_dim / 8u;
    uint head = gl_GlobalInvocationID.x / d8;
    uint d0 = (gl_GlobalInvocationID.x % d8) * 8u;
    if (head >= p.n_head + 2u * p.n_head_kv)
        return;
    bool is_v = head >= p.n_head + p.n_head_kv;
    uint at = t * p.ld + head * p.head_dim;
#ifdef FG_HEADS
    is_q = head < p.n_head;
    at += min(head, p.n_head) * (h.q_step - p.head_dim);
    inv_rms = h.normed != 0u && !is_v ? find_inv_rms(at) : 0.0;
#endif
    float r[8];
    for (uint c = 0u; c < 8u; c++)
        r[c] = is_v ? qkv[at + d0 + c] : fg_flush(rotate(t, at, d0 + c));
    if (head < p.n_head) {
        for (uint c = 0u; c < 8u; c++)
            rotated[(t * p.n_head + head) * p.head_dim + d0 + c] = r[c];
        return;
    }
    uint kv = is_v ? head - p.n_head - p.n_head_kv : head - p.n_head;
    uint pos = tokens[t].pos;
    uint page = table[tokens[t].seq * p.max_pages + pos / 64u];
    uint j = pos % 64u;
#ifdef FG_KV_F32
    for (uint c = 0u; c < 2u; c++) {
        uint to = is_v ? fg_v_at(page, p.n_head_kv, p.head_dim, kv, d0 / 4u + c, j)
                       : fg_k_at(page, p.n_head_kv, p.head_dim, kv, d0 / 4u + c, j);
        pages[to] = floatBitsToUint(vec4(r[4u * c], r[4u * c + 1u], r[4u * c + 2u], r[4u * c + 3u]));
    }
#else
    uvec4 w;
    for (uint c = 0u; c < 4u; c++)
        w[c] = fg_f16_round(r[2u * c]) | (fg_f16_round(r[2u * c + 1u]) << 16);
    pages[is_v ? fg_v_at(page, p.n_head_kv, p.head_dim, kv, d0 / 8u, j)
               : fg_k_at(page, p.n_head_kv, p.head_dim, kv, d0 / 8u, j)] = w;
#endif
}
