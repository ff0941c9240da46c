// y[i] = (x[i] * r) * w[i],  r = 1 / sqrt(mean of x^2 + eps)
// Partial sum l of 64 adds x[i]^2 for i = l, l + 64, ... ascending; then the tree of lib/sum64.glsl.
// One workgroup of 64 a row. Dispatch: x = rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
#include "../lib/sum64.glsl"

layout(push_constant) uniform Push { fg_norm_push p; };
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(std430, binding = 3) readonly buffer Index { uint index[]; };

void main()
{
    uint row = gl_WorkGroupID.x;
    uint from = (p.gather != 0u ? index[row] : row) * p.ldx;
    precise float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += 64u) {
        float v = x[from + i];
        sum = sum + v * v;
    }
    precise float mean = fg_sum64(sum) * p.inv_n + p.eps;
    float r = fg_rsqrt(mean);
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += 64u) {
        precise float v = x[from + i] * r;
        v = v * w[i];
        y[row * p.ldy + i] = fg_flush(v);
    }
}
