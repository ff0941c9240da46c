// x[i] = (x[i] * r) * w[i] of n columns from `at` on, in place; r as in rmsnorm.comp, of those columns.
// One workgroup of 64 a row. Dispatch: x = rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
#include "../lib/sum64.glsl"

layout(push_constant) uniform Push { fg_norm_part_push p; };
layout(std430, binding = 0) buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };

void main()
{
    uint from = gl_WorkGroupID.x * p.ld + p.at;
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
        x[from + i] = fg_flush(v);
    }
}
