// Rotates q and k and writes k and v to the KV page of their position, rounded to the cache's type.
//   interleaved: (x[2i], x[2i+1]); neox: (x[i], x[i + rope_dim/2]); dimensions past rope_dim unchanged
//   y0 = x0 * cos - x1 * sin,  y1 = x0 * sin + x1 * cos
// rope holds (cos, sin) [token][rope_dim/2], made on the host in double.
// One invocation: 8 dimensions of one head. Dispatch: x = ceil((n_head + 2 n_head_kv) * D/8 / 32), y = tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#define FG_GLSL
#include "../abi/params.h"
#include "../lib/canon.glsl"
#include "../softmax_attention/page.glsl"

layout(local_size_x = 32) in;
layout(push_constant) uniform Push { fg_rope_push p; };
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 1) readonly buffer K { float k[]; };
layout(std430, binding = 2) readonly buffer V { float v[]; };
layout(std430, binding = 3) writeonly buffer Rotated { float rotated[]; }; // [token][n_head * D]
layout(std430, binding = 4) writeonly buffer Pages { uvec4 pages[]; };
layout(std430, binding = 5) readonly buffer Tokens { fg_token_row tokens[]; };
layout(std430, binding = 6) readonly buffer Rope { vec2 rope[]; };
layout(std430, binding = 7) readonly buffer Table { uint table[]; };

float load(bool is_q, uint at)
{
    return is_q ? q[at] : k[at];
}

// Element d of the head that begins at `at`, rotated.
float rotate(bool is_q, uint t, uint at, uint d)
{
    if (d >= p.rope_dim)
        return load(is_q, at + d);
    uint half_dim = p.rope_dim / 2u;
    bool second = p.neox != 0u ? d >= half_dim : (d & 1u) == 1u;
    uint i = p.neox != 0u ? (second ? d - half_dim : d) : d / 2u;
    float x0 = load(is_q, at + (p.neox != 0u ? i : 2u * i));
    float x1 = load(is_q, at + (p.neox != 0u ? i + half_dim : 2u * i + 1u));
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
    float r[8];
    if (head < p.n_head + p.n_head_kv) {
        bool is_q = head < p.n_head;
        uint at = is_q ? t * p.ldq + head * p.head_dim : t * p.ldk + (head - p.n_head) * p.head_dim;
        for (uint c = 0u; c < 8u; c++)
            r[c] = fg_flush(rotate(is_q, t, at, d0 + c));
        if (is_q) {
            for (uint c = 0u; c < 8u; c++)
                rotated[(t * p.n_head + head) * p.head_dim + d0 + c] = r[c];
            return;
        }
    } else {
        uint at = t * p.ldv + (head - p.n_head - p.n_head_kv) * p.head_dim + d0;
        for (uint c = 0u; c < 8u; c++)
            r[c] = v[at + c];
    }
    bool is_k = head < p.n_head + p.n_head_kv;
    uint kv = is_k ? head - p.n_head : head - p.n_head - p.n_head_kv;
    uint pos = tokens[t].pos;
    uint page = table[tokens[t].seq * p.max_pages + pos / 64u];
    uint j = pos % 64u;
#ifdef FG_KV_F32
    for (uint c = 0u; c < 2u; c++) {
        uint at = is_k ? fg_k_at(page, p.n_head_kv, p.head_dim, kv, d0 / 4u + c, j)
                       : fg_v_at(page, p.n_head_kv, p.head_dim, kv, d0 / 4u + c, j);
        pages[at] = floatBitsToUint(vec4(r[4u * c], r[4u * c + 1u], r[4u * c + 2u], r[4u * c + 3u]));
    }
#else
    uvec4 w;
    for (uint c = 0u; c < 4u; c++)
        w[c] = fg_f16_round(r[2u * c]) | (fg_f16_round(r[2u * c + 1u]) << 16);
    pages[is_k ? fg_k_at(page, p.n_head_kv, p.head_dim, kv, d0 / 8u, j)
               : fg_v_at(page, p.n_head_kv, p.head_dim, kv, d0 / 8u, j)] = w;
#endif
}
