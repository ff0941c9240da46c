// y[i] = sum of 16 values, each begun at lane + j and multiplied by a and added to b, n times: the rate of f32
// multiplications and additions that are rounded on their own (the mode `exact` has no others).
// Dispatch: x = workgroups of 64. 2 x 16 operations a lane and round.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_bench_madd_push p; };
layout(std430, binding = 0) writeonly buffer Y { float y[]; };

void main()
{
    vec4 v[4];
    [[unroll]] for (uint j = 0u; j < 4u; j++)
        v[j] = vec4(uvec4(gl_LocalInvocationID.x + 4u * j) + uvec4(0u, 1u, 2u, 3u));
    for (uint i = 0u; i < p.n; i++) {
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            v[j] = fg_madd4(vec4(p.b), v[j], vec4(p.a));
    }
    float sum = fg_add(fg_add(fg_sum4(v[0]), fg_sum4(v[1])), fg_add(fg_sum4(v[2]), fg_sum4(v[3])));
    y[gl_GlobalInvocationID.x] = sum;
}
