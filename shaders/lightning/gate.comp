// y = sigmoid(g) * ((o * r) * w),  r = 1 / sqrt(mean of o^2 over all heads + eps)
// Sums as in norm/rmsnorm.comp. One workgroup of 64 a token. Dispatch: x = tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
#include "../lib/sum64.glsl"

layout(push_constant) uniform Push { fg_gate_push p; };
layout(std430, binding = 0) readonly buffer O { float o[]; };
layout(std430, binding = 1) readonly buffer G { float g[]; };
layout(std430, binding = 2) readonly buffer W { float w[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };

void main()
{
    uint t = gl_WorkGroupID.x;
    precise float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += 64u) {
        float v = o[t * p.ldo + i];
        sum = sum + v * v;
    }
    precise float mean = fg_sum64(sum) * p.inv_n + p.eps;
    float r = fg_rsqrt(mean);
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += 64u) {
        precise float v = o[t * p.ldo + i] * r;
        v = v * w[i];
        v = fg_sigmoid(g[t * p.ldg + i]) * v;
        y[t * p.ldy + i] = fg_flush(v);
    }
}
