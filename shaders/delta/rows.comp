// The short convolution of q, k and v, and the norms of q and k.
//   c[ch] = silu(sum over j of w[ch][j] * x[t - taps + 1 + j][ch]), j ascending; before the run x is the tail
//   q = (c * r) * scale,  k = c * r,  v = c;  r = 1 / sqrt(sum of c^2 of the head + 1e-6), the sum of four partial
//   sums over d = c mod 4, (s0 + s1) + (s2 + s3)
//   x [token][q of all heads, k, v, ..];  tail [slot][taps - 1][channels], the latest last;  w [channels][taps]
//   q [token][head][D];  k rows [slot][head][D/4][64] vec4;  v [token][head][D]
// A workgroup: one head of q, k or v of one token. Dispatch: x = 2 n_head_k + n_head, y = 64 (tokens of the chunk
// row), z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef FG_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#define FG_LANES FG_SUBGROUP
#else
#define FG_LANES 32
#endif
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = FG_LANES) in;
layout(push_constant) uniform Push { fg_delta_push p; };
layout(std430, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, binding = 1) readonly buffer Tail { vec4 tail[]; };
layout(std430, binding = 2) readonly buffer W { float w[]; };
layout(std430, binding = 3) writeonly buffer Q { vec4 q[]; };
layout(std430, binding = 4) writeonly buffer K { vec4 k_rows[]; };
layout(std430, binding = 5) writeonly buffer V { vec4 v[]; };
layout(std430, binding = 6) readonly buffer Rows { fg_chunk_row rows[]; };

shared vec4 head_c[64]; // D / 4, at most 256 / 4

vec4 silu4(vec4 a)
{
    return fg_flush4(vec4(fg_silu(a.x), fg_silu(a.y), fg_silu(a.z), fg_silu(a.w)));
}

// Channels 4 c .. 4 c + 3 of the run's token i.
vec4 convolve(fg_chunk_row row, uint i, uint c)
{
    uint channels4 = (2u * p.n_head_k + p.n_head) * p.head_dim / 4u;
    vec4 sum = vec4(0.0);
    for (uint j = 0u; j < p.taps; j++) {
        uint at = i + 1u + j; // 0: the tail's first
        vec4 a = at >= p.taps ? x[(row.token + at - p.taps) * (p.ldx / 4u) + c]
                              : tail[(row.seq * (p.taps - 1u) + at - 1u) * channels4 + c];
        vec4 b = vec4(w[4u * c * p.taps + j], w[(4u * c + 1u) * p.taps + j],
                      w[(4u * c + 2u) * p.taps + j], w[(4u * c + 3u) * p.taps + j]);
        sum = fg_madd4(sum, b, a);
    }
    return silu4(sum);
}

void main()
{
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.z];
    uint head = gl_WorkGroupID.x, i = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
    if (i >= row.n)
        return;
    uint d4 = p.head_dim / 4u, t = row.token + i;
    bool is_v = head >= 2u * p.n_head_k;
    for (uint d = lane; d < d4; d += FG_LANES) {
        vec4 c = convolve(row, i, head * d4 + d);
        head_c[d] = c;
        if (is_v)
            v[(t * p.n_head + head - 2u * p.n_head_k) * d4 + d] = c;
    }
    if (is_v)
        return;
#ifdef FG_SUBGROUP
    subgroupBarrier();
#else
    barrier();
#endif
    vec4 sum = vec4(0.0);
    for (uint d = 0u; d < d4; d++)
        sum = fg_madd4(sum, head_c[d], head_c[d]);
    float r = fg_rsqrt(fg_add(fg_sum4(sum), 1.0e-6));
    uint kh = head < p.n_head_k ? head : head - p.n_head_k;
    for (uint d = lane; d < d4; d += FG_LANES) {
        vec4 y = fg_mul4(head_c[d], r);
        if (head < p.n_head_k)
            q[(t * p.n_head_k + kh) * d4 + d] = fg_flush4(fg_mul4(y, p.scale));
        else
            k_rows[((row.seq * p.n_head_k + kh) * d4 + d) * 64u + row.first + i] = fg_flush4(y);
    }
}
