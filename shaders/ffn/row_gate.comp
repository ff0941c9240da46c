// x = sigmoid(g) * x, one g a row. One invocation an element. Dispatch: x = ceil(n / 64), y = rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_row_gate_push p; };
layout(std430, binding = 0) buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer G { float g[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
    if (i >= p.n)
        return;
    uint at = row * p.ldx + i;
    x[at] = fg_flush(fg_mul(fg_sigmoid(g[row * p.ldg]), x[at]));
}
