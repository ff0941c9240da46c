// y[t][k] = W[id of token t][k]: d * q (+ m), or the element itself.
// One invocation: one block of 32 k of one token. Dispatch: x = blocks / 32, y = tokens.
// Tokens whose id lies outside this part's rows are left to the other parts.
#version 450
#extension GL_GOOGLE_include_directive : require
#define FG_GLSL
#include "../abi/params.h"

layout(local_size_x = 32) in;
layout(constant_id = 4) const uint FG_NATIVE_F16 = 0; // 0, 1
#include "../matmul/weights.glsl"

layout(push_constant) uniform Push { fg_embed_push p; };
layout(std430, binding = 1) readonly buffer Tokens { fg_token_row tokens[]; };
layout(std430, binding = 2) writeonly buffer Y { vec4 y[]; };

void main()
{
    uint b = gl_GlobalInvocationID.x;
    uint t = gl_WorkGroupID.y;
    uint row = tokens[t].id - p.row0;
    if (b >= p.n_blocks || row >= p.n_rows)
        return;
    uint tile = row / 32u, r = row % 32u;
    uvec4 q[FG_QW];
    for (uint w = 0u; w < FG_QW; w++)
        q[w] = FG_WEIGHT(((tile * p.n_blocks + b) * FG_QW + w) * 32u + r);
#if FG_SCALED != 0
    uint n_groups = (p.n_blocks + FG_SCALE_BLOCKS - 1u) / FG_SCALE_BLOCKS;
    uvec4 scale = FG_WEIGHT(p.scale_at + (tile * n_groups + b / FG_SCALE_BLOCKS) * 32u + r);
#endif
#if FG_SCALED == 1
    float d = fg_scale_d(scale, b);
#elif FG_SCALED == 2
    vec2 dm = fg_scale_dm(scale, b);
#endif
    uint at = t * (p.ldy / 4u) + b * 8u;
#define FG_STORE(g)                            \
    {                                          \
        precise vec4 v = FG_EXPAND(q, g);      \
        FG_SCALE(v)                            \
        y[at + g] = fg_flush4(v);              \
    }
#if FG_SCALED == 1
#define FG_SCALE(v) v = d * v;
#elif FG_SCALED == 2
#define FG_SCALE(v) v = dm.x * v + vec4(dm.y);
#else
#define FG_SCALE(v)
#endif
    FG_STORE(0)
    FG_STORE(1)
    FG_STORE(2)
    FG_STORE(3)
    FG_STORE(4)
    FG_STORE(5)
    FG_STORE(6)
    FG_STORE(7)
}
