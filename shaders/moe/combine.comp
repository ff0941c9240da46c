// x = alpha * r + sum over ranks of w_rank * y_rank, the sum ascending in rank from 0.
// One invocation an element. Dispatch: x = ceil(n / 64), y = tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_combine_push p; };
layout(std430, binding = 0) readonly buffer Y { float y[]; }; // [token * n_used + rank][ldy]
layout(std430, binding = 1) readonly buffer Weights { float weights[]; };
layout(std430, binding = 2) readonly buffer R { float residual[]; };
layout(std430, binding = 3) writeonly buffer X { float x[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x, t = gl_WorkGroupID.y;
    if (i >= p.n)
        return;
    precise float sum = 0.0;
    for (uint r = 0u; r < p.n_used; r++) {
        uint pair = t * p.n_used + r;
        sum = sum + weights[pair] * y[pair * p.ldy + i];
    }
    precise float v = p.alpha * residual[t * p.ldr + i] + sum;
    x[t * p.ldx + i] = fg_flush(v);
}
