// x = x * sigmoid(gate): gates lie behind the queries of their heads, [token][head][q D, gate D].
// One invocation an element. Dispatch: x = ceil(n_head * D / 64), y = tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_head_gate_push p; };
layout(std430, binding = 0) readonly buffer Q { float qkv[]; };
layout(std430, binding = 1) buffer X { float x[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x, t = gl_WorkGroupID.y;
    if (i >= p.n)
        return;
    uint head = i / p.head_dim, d = i % p.head_dim;
    float gate = qkv[t * p.ldq + (2u * head + 1u) * p.head_dim + d];
    x[t * p.ldx + i] = fg_flush(fg_mul(x[t * p.ldx + i], fg_sigmoid(gate)));
}
