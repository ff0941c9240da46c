// g = silu(g) * u, gelu(g) * u (FG_GELU) or, of g and u cut at 7, and u at -7, (g * sigmoid(1.702 g)) * (u + 1)
// (FG_CLAMPED). One invocation an element. Dispatch: x = ceil(n / 64), y = rows.
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
#if defined(FG_CLAMPED)
    precise float x = g[at] > 7.0 ? 7.0 : g[at], linear = u[at] > 7.0 ? 7.0 : u[at];
    linear = linear < -7.0 ? -7.0 : linear;
    linear = linear + 1.0;
    precise float steep = 1.702 * x;
    precise float v = x * fg_sigmoid(steep);
    v = v * linear;
#elif defined(FG_GELU)
    precise float v = fg_gelu(g[at]) * u[at];
#else
    precise float v = fg_silu(g[at]) * u[at];
#endif
    g[at] = fg_flush(v);
}
