// Raw GGUF rows to the tile layout of matmul/weights.glsl.
// One invocation: 8 blocks of one row. Dispatch: x = groups of 8 blocks, y = tiles of 32 rows.
// Rows past n_rows and elements past k become zeros.
#version 450
#extension GL_GOOGLE_include_directive : require
#define FG_GLSL
#include "../abi/params.h"

layout(local_size_x = 32) in;
layout(constant_id = 4) const uint FG_NATIVE_F16 = 0;
#define FG_WEIGHTS_WRITTEN
#include "../matmul/weights.glsl"

layout(push_constant) uniform Push { fg_repack_push p; };
layout(std430, binding = 0) readonly buffer Raw { uint raw[]; };
layout(std430, binding = 1) writeonly buffer Weights { uvec4 weights[]; };

// 16 bits at an even byte offset.
uint read16(uint at)
{
    return (raw[at >> 2] >> (8u * (at & 2u))) & 0xffffu;
}

uint read32(uint at)
{
    return read16(at) | (read16(at + 2u) << 16);
}

// Nibbles `shift` (0 or 4) of the 8 bytes a, b (ascending) as 8 nibbles of a word.
uint nibbles(uint a, uint b, uint shift)
{
    uint w = 0u;
    for (uint i = 0u; i < 4u; i++) {
        w |= ((a >> (8u * i + shift)) & 15u) << (4u * i);
        w |= ((b >> (8u * i + shift)) & 15u) << (4u * i + 16u);
    }
    return w;
}

void main()
{
    uint r = gl_LocalInvocationID.x;
    uint row = gl_WorkGroupID.y * 32u + r;
    uint tile = p.tile0 + p.row0 / 32u + gl_WorkGroupID.y;
    uint at = p.src_at + row * p.row_bytes;
    bool live = row < p.n_rows;
    uvec4 scale[2] = uvec4[2](uvec4(0u), uvec4(0u));

    for (uint i = 0u; i < 8u; i++) {
        uint b = gl_WorkGroupID.x * 8u + i;
        if (b >= p.n_blocks)
            break;
        uint to = ((tile * p.n_blocks + b) * FG_QW) * 32u + r;
#if defined(FG_TYPE_Q8_0)
        uint o = at + b * 34u;
        for (uint w = 0u; w < 2u; w++) {
            uvec4 v = uvec4(0u);
            if (live)
                for (uint c = 0u; c < 4u; c++)
                    v[c] = read32(o + 2u + 16u * w + 4u * c);
            weights[to + w * 32u] = v;
        }
        if (live)
            scale[0][i >> 1] |= read16(o) << (16u * (i & 1u));
#elif defined(FG_TYPE_Q4_0) || defined(FG_TYPE_Q4_1)
#ifdef FG_TYPE_Q4_0
        uint o = at + b * 18u, q = o + 2u;
#else
        uint o = at + b * 20u, q = o + 4u;
#endif
        uvec4 v = uvec4(0u);
        if (live) {
            uint b0 = read32(q), b1 = read32(q + 4u), b2 = read32(q + 8u), b3 = read32(q + 12u);
            v = uvec4(nibbles(b0, b1, 0u), nibbles(b2, b3, 0u), nibbles(b0, b1, 4u),
                      nibbles(b2, b3, 4u));
        }
        weights[to] = v;
#ifdef FG_TYPE_Q4_0
        if (live)
            scale[0][i >> 1] |= read16(o) << (16u * (i & 1u));
#else
        if (live)
            scale[i >> 2][i & 3u] = read32(o);
#endif
#elif defined(FG_TYPE_F32)
        for (uint w = 0u; w < 8u; w++) {
            uvec4 v = uvec4(0u);
            for (uint c = 0u; c < 4u; c++) {
                uint k = b * 32u + w * 4u + c;
                if (live && k < p.k)
                    v[c] = raw[(at >> 2) + k];
            }
            weights[to + w * 32u] = v;
        }
#else
        for (uint w = 0u; w < 4u; w++) {
            uvec4 v = uvec4(0u);
            for (uint c = 0u; c < 8u; c++) {
                uint k = b * 32u + w * 8u + c;
                if (live && k < p.k)
                    v[c >> 1] |= read16(at + 2u * k) << (16u * (c & 1u));
            }
            weights[to + w * 32u] = v;
        }
#endif
    }
#if FG_SCALED != 0
    uint n_groups = (p.n_blocks + FG_SCALE_BLOCKS - 1u) / FG_SCALE_BLOCKS;
    for (uint i = 0u; i < 8u / FG_SCALE_BLOCKS; i++) {
        uint group = gl_WorkGroupID.x * (8u / FG_SCALE_BLOCKS) + i;
        if (group < n_groups)
            weights[p.scale_at + (tile * n_groups + group) * 32u + r] = scale[i];
    }
#endif
}
