// x[at + i] = x[at + i] + b[i], in each row; FG_EXPERTS: b[expert of the row][i]. One invocation an element. Dispatch: x = ceil(n / 64), y = rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_bias_push p; };
layout(std430, binding = 0) buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
#ifdef FG_EXPERTS
layout(std430, binding = 2) readonly buffer Experts { uint experts[]; };
#define ROW experts[gl_WorkGroupID.y]
#else
#define ROW 0u
#endif

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i >= p.n)
        return;
    uint at = gl_WorkGroupID.y * p.ld + p.at + i;
    x[at] = fg_flush(fg_add(x[at], b[ROW * p.n + i]));
}
