// The short convolution of q, k and v, and the norms of q and k.
//   c[ch] = silu(sum over j of w[ch][j] * x[t - TAPS + 1 + j][ch]), j ascending; before the run x is the tail
//   q = (c * r) * scale,  k = c * r,  v = c;  r = 1 / sqrt(sum of c^2 of the head + 1e-6), the sum of four partial
//   sums over d = c mod 4, (s0 + s1) + (s2 + s3)
//   x [token][q of all heads, k, v, ..];  tail [slot][TAPS - 1][channels], the latest last;  w [channels][TAPS]
//   q [token][head][D];  k rows [slot][head][D/4][64] vec4;  v [token][head][D]
// A workgroup: one head of q, k or v, QT tokens of one chunk row; a lane takes 4 channels at a time.
// Dispatch: x = 2 n_head_k + n_head, y = 64 / QT, z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef FG_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#define FG_LANES FG_SUBGROUP
#define FG_WAIT subgroupBarrier
#else
#define FG_LANES 32
#define FG_WAIT barrier
#endif
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = FG_LANES) in;
layout(constant_id = 0) const uint QT = 1;   // 1..8 tokens
layout(constant_id = 1) const uint TAPS = 4; // 2..16

layout(push_constant) uniform Push { fg_delta_push p; };
layout(std430, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, binding = 1) readonly buffer Tail { vec4 tail[]; };
layout(std430, binding = 2) readonly buffer W { float w[]; };
layout(std430, binding = 3) writeonly buffer Q { vec4 q[]; };
layout(std430, binding = 4) writeonly buffer K { vec4 k_rows[]; };
layout(std430, binding = 5) writeonly buffer V { vec4 v[]; };
layout(std430, binding = 6) readonly buffer Rows { fg_chunk_row rows[]; };

const uint PITCH = 65u; // vec4 of a token's head in shared memory: D / 4 is at most 64
shared vec4 head_c[QT * PITCH];
shared float inverse[QT];

// Of this invocation; the functions below are main()'s parts, in order.
uint lane, head, i0, n, d4;
fg_chunk_row row;

// Channels 4 c .. 4 c + 3 before the convolution, `at` tokens behind the tail's first.
vec4 before(uint at, uint c)
{
    uint channels4 = (2u * p.n_head_k + p.n_head) * d4;
    return at >= TAPS - 1u ? x[(row.token + at - (TAPS - 1u)) * (p.ldx / 4u) + c]
                           : tail[(row.seq * (TAPS - 1u) + at) * channels4 + c];
}

// Those channels of all tokens: dimensions 4 d .. of the head.
void convolve(uint c, uint d)
{
    vec4 taps[TAPS], seen[TAPS];
    [[unroll]] for (uint j = 0u; j < TAPS; j++) {
        taps[j] = vec4(w[4u * c * TAPS + j], w[(4u * c + 1u) * TAPS + j],
                       w[(4u * c + 2u) * TAPS + j], w[(4u * c + 3u) * TAPS + j]);
        seen[j] = j + 1u < TAPS ? before(i0 + j, c) : vec4(0.0);
    }
    [[unroll]] for (uint t = 0u; t < QT; t++) {
        seen[TAPS - 1u] = before(i0 + min(t, n - 1u) + TAPS - 1u, c);
        vec4 sum = vec4(0.0);
        [[unroll]] for (uint j = 0u; j < TAPS; j++)
            sum = fg_madd4(sum, taps[j], seen[j]);
        head_c[t * PITCH + d] =
            fg_flush4(vec4(fg_silu(sum.x), fg_silu(sum.y), fg_silu(sum.z), fg_silu(sum.w)));
        [[unroll]] for (uint j = 1u; j < TAPS; j++)
            seen[j - 1u] = seen[j];
    }
}

// Lane = token.
void norms()
{
    vec4 sum = vec4(0.0);
    for (uint d = 0u; d < d4; d++) {
        vec4 c = head_c[lane * PITCH + d];
        sum = fg_madd4(sum, c, c);
    }
    inverse[lane] = fg_rsqrt(fg_add(fg_sum4(sum), 1.0e-6));
}

void main()
{
    lane = gl_LocalInvocationID.x;
    head = gl_WorkGroupID.x;
    row = rows[p.row0 + gl_WorkGroupID.z];
    i0 = gl_WorkGroupID.y * QT;
    if (i0 >= row.n)
        return;
    n = min(QT, row.n - i0);
    d4 = p.head_dim / 4u;
    bool is_q = head < p.n_head_k, is_v = head >= 2u * p.n_head_k;
    for (uint d = lane; d < d4; d += FG_LANES)
        convolve(head * d4 + d, d);
    FG_WAIT();
    if (!is_v && lane < n)
        norms();
    FG_WAIT();
    uint own = is_v ? head - 2u * p.n_head_k : is_q ? head : head - p.n_head_k;
    for (uint d = lane; d < d4; d += FG_LANES)
        for (uint t = 0u; t < n; t++) {
            vec4 c = head_c[t * PITCH + d];
            uint token = row.token + i0 + t;
            if (is_v)
                v[(token * p.n_head + own) * d4 + d] = c;
            else if (is_q)
                q[(token * p.n_head_k + own) * d4 + d] =
                    fg_flush4(fg_mul4(fg_mul4(c, inverse[t]), p.scale));
            else
                k_rows[((row.seq * p.n_head_k + own) * d4 + d) * 64u + row.first + i0 + t] =
                    fg_flush4(fg_mul4(c, inverse[t]));
        }
}
