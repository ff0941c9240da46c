// x[i] = alpha * x[i] + (n[i] * r) * w[i]; r as in rmsnorm.comp, of n's row.
// One workgroup of 64 a row. Dispatch: x = rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
#include "../lib/sum64.glsl"

layout(push_constant) uniform Push { fg_norm_add_push p; };
layout(std430, binding = 0) readonly buffer N { float n[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 2) buffer X { float x[]; };

void main()
{
    uint from = gl_WorkGroupID.x * p.ld;
    precise float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += 64u) {
        float v = n[from + i];
        sum = sum + v * v;
    }
    precise float mean = fg_sum64(sum) * p.inv_n + p.eps;
    float r = fg_rsqrt(mean);
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += 64u) {
        precise float v = n[from + i] * r;
        v = v * w[i];
        precise float y = p.alpha * x[from + i] + v;
        x[from + i] = fg_flush(y);
    }
}
