// y[t][k] = W[id of token t][k]: d * q (+ m), d * q + m * (the minimum of k) for Q2_K, or the element itself; times a scale.
// One invocation: one block of 32 k of one token. Dispatch: x = blocks / 32, y = tokens.
// Tokens whose id lies outside this part's rows are left to the other parts.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"

layout(local_size_x = 32) in;
layout(constant_id = 4) const uint FG_NATIVE_F16 = 0; // 0, 1
#include "../matmul/weights.glsl"

layout(push_constant) uniform Push { fg_embed_push p; };
layout(std430, binding = 1) readonly buffer Tokens { fg_token_row tokens[]; };
layout(std430, binding = 2) writeonly buffer Y { vec4 y[]; };

#ifdef FG_PARTS
#define FG_VALUES(g) fg_mul4(FG_EXPAND(q, bits, g), parts[(g) / 4])
#else
#define FG_VALUES(g) FG_EXPAND(q, bits, g)
#endif
#define FG_STORE(g)                            \
    {                                          \
        precise vec4 v = FG_VALUES(g);         \
        FG_SCALED_BY(v, g)                     \
        v = p.scale * v;                       \
        y[at + g] = fg_flush4(v);              \
    }
#if FG_SCALED == 1
#define FG_SCALED_BY(v, g) v = d * v;
#elif FG_SCALED == 2
#define FG_SCALED_BY(v, g) v = dm.x * v + vec4(dm.y);
#elif FG_SCALED == 3
#define FG_SCALED_BY(v, g) v = dm.x * v + vec4(fg_mul(dm.y, parts[2 + (g) / 4]));
#else
#define FG_SCALED_BY(v, g)
#endif

void main()
{
    uint b = gl_GlobalInvocationID.x;
    uint t = gl_WorkGroupID.y;
    uint row = tokens[t].id - p.row0;
    if (b >= p.n_blocks || row >= p.n_rows)
        return;
    uint tile = row / 32u, r = row % 32u;
    uint quant_row = uint(FG_GRID) + tile * FG_QUANTS(p.n_blocks) * 32u + r;
#if FG_QW
    uvec4 q[FG_QW];
    for (uint w = 0u; w < FG_QW; w++)
        q[w] = FG_WEIGHT(quant_row + (b * FG_QW + w) * 32u);
#endif
#if FG_SW
    uvec4 held[FG_SW];
    for (uint w = 0u; w < FG_SW; w++)
        held[w] = FG_WEIGHT(quant_row +
                            FG_SLICE_WORD(p.n_blocks, b / FG_C_SLICE_BLOCKS, w) * 32u);
#endif
#if FG_SCALED != 0
    uint scale_row = p.scale_at + tile * FG_SCALES(p.n_blocks) * 32u + r;
    uvec4 scale = FG_WEIGHT(scale_row + b / FG_SCALE_BLOCKS * 32u);
#endif
#if FG_D_BLOCKS
    uvec4 scale_d = FG_WEIGHT(scale_row + (FG_GROUPS(FG_SCALE_BLOCKS, p.n_blocks) +
                                           b / FG_D_BLOCKS) * 32u);
#endif
#if FG_SW
    uvec4 bits = FG_BITS(held, scale, b);
#endif
#if FG_SCALED == 1
    float d = FG_SCALE(held, scale, scale_d, b);
#elif FG_SCALED != 0
    vec2 dm = FG_SCALE(held, scale, scale_d, b);
#endif
#ifdef FG_PARTS
    vec4 parts = FG_PARTS(scale, scale_d, b);
#endif
    uint at = t * (p.ldy / 4u) + b * 8u;
    FG_STORE(0)
    FG_STORE(1)
    FG_STORE(2)
    FG_STORE(3)
    FG_STORE(4)
    FG_STORE(5)
    FG_STORE(6)
    FG_STORE(7)
}
