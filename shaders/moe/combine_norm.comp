// moe/combine.comp, then norm/rmsnorm.comp of its result, for models whose residual is the normed input:
//   x = alpha * n + sum over ranks of w_rank * y_rank,  n = (x * r) * w
// One workgroup of 64 a token. Dispatch: x = tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
#include "../lib/sum64.glsl"

layout(push_constant) uniform Push { fg_combine_norm_push p; };
layout(std430, binding = 0) readonly buffer Y { float y[]; }; // [token * n_used + rank][ld]
layout(std430, binding = 1) readonly buffer Weights { float weights[]; };
layout(std430, binding = 2) buffer N { float n[]; };          // in: the residual; out: what is normed
layout(std430, binding = 3) buffer X { float x[]; };
layout(std430, binding = 4) readonly buffer W { float w[]; };

void main()
{
    uint t = gl_WorkGroupID.x, row = t * p.ld;
    precise float squares = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += 64u) {
        precise float sum = 0.0;
        for (uint r = 0u; r < p.n_used; r++) {
            uint pair = t * p.n_used + r;
            sum = sum + weights[pair] * y[pair * p.ld + i];
        }
        precise float v = p.alpha * n[row + i] + sum;
        float flushed = fg_flush(v);
        x[row + i] = flushed;
        squares = squares + flushed * flushed;
    }
    precise float mean = fg_sum64(squares) * p.inv_n + p.eps;
    float r = fg_rsqrt(mean);
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += 64u) {
        precise float v = x[row + i] * r; // this lane's own
        v = v * w[i];
        n[row + i] = fg_flush(v);
    }
}
