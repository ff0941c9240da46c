// g = silu(g) * u. One invocation an element. Dispatch: x = ceil(n / 64), y = rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_swiglu_push p; };
layout(std430, binding = 0) buffer G { float g[]; };
layout(std430, binding = 1) readonly buffer U { float u[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i >= p.n)
        return;
    uint at = gl_WorkGroupID.y * p.ld + i;
    precise float v = fg_silu(g[at]) * u[at];
    g[at] = fg_flush(v);
}
