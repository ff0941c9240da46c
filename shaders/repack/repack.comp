// Raw GGUF rows to the tile layout of matmul/weights.glsl.
// One invocation: 8 blocks of one row. Dispatch: x = groups of 8 blocks, y = tiles of 32 rows.
// Rows past n_rows and elements past k become zeros. Where two matrices share tiles, each fills half of one.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"

layout(local_size_x = 32) in;
layout(constant_id = 4) const uint FG_NATIVE_F16 = 0;
#define FG_WEIGHTS_WRITTEN
#include "../matmul/weights.glsl"

layout(push_constant) uniform Push { fg_repack_push p; };
layout(std430, binding = 0) readonly buffer Raw { uint raw[]; };
layout(std430, binding = 1) writeonly buffer Weights { uvec4 weights[]; };

bool live;                // the row is one of the matrix; else all that is read is 0
uint at;                  // byte of the row in raw
uint quant_row, scale_row; // the row's first uvec4 of each in weights

uint read8(uint o)
{
    return live ? (raw[o >> 2] >> (8u * (o & 3u))) & 0xffu : 0u;
}

// 16 bits at an even byte offset.
uint read16(uint o)
{
    return live ? (raw[o >> 2] >> (8u * (o & 2u))) & 0xffffu : 0u;
}

uint read32(uint o)
{
    return read16(o) | (read16(o + 2u) << 16);
}

void put_quants(uint i, uvec4 v)
{
    weights[quant_row + i * 32u] = v;
}

void put_scales(uint i, uvec4 v)
{
    weights[scale_row + i * 32u] = v;
}

// void repack(uint group): blocks 8 * group .. 8 * group + 7 of the row.
#if FG_LOW >= 16
#include "plain.glsl"
#elif FG_GRID
#include "blocks_grid.glsl"
#elif FG_FILE_BLOCK == 64
#include "blocks_64.glsl"
#elif FG_FILE_BLOCK == 256
#include "blocks_256.glsl"
#else
#include "blocks_32.glsl"
#endif

void main()
{
    uint r = gl_LocalInvocationID.x;
    uint row = gl_WorkGroupID.y * 32u + r;
    if (row >= (p.n_rows + p.tile_rows - 1u) / p.tile_rows * p.tile_rows)
        return;
    uint tile = p.tile0 + (p.row0 + row) / p.tile_rows;
    at = p.src_at + row * p.row_bytes;
    live = row < p.n_rows;
    r = row % p.tile_rows + p.slot0;
    quant_row = uint(FG_GRID) + tile * FG_QUANTS(p.n_blocks) * 32u + r;
#if FG_SCALED != 0
    scale_row = p.scale_at + tile * FG_SCALES(p.n_blocks) * 32u + r;
#endif
    repack(gl_WorkGroupID.x);
}
