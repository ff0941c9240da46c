// y[t][r] = sum_k W[r][k] x[t][k]      (+ alpha * residual[t][r])
//
// The canonical order: within a block of 32 k one running sum in ascending k; a block's sum is scaled
// and added to its slice (4 blocks); slices are added in ascending order. Quantized types: slice +=
// d * sum, or d * sum + m * (sum of x), or for Q2_K d * sum + m * (sum of minima times x). One token or many, one
// thread or several to a row: same order.
//
// INT8 (the mode int8): x is quantized by blocks (quantize.comp) and q are whole numbers, so a block's sum is one,
// exactly; it is multiplied by x's scale first. FG_DOT: the same sums by integer dot products.
// FG_FUSED (the mode fused): each multiplication and addition in one, rounded as the device does.
//
// GATED: a tile has 16 rows of each of two matrices, and y = silu(first) * second, of 16 rows a tile.
//
// A lane owns ROWS rows of a tile of 32 (lane, lane + 32/ROWS, ...) and TOKENS tokens.
// Dispatch: x = tiles / TILES, y = token groups. MoE: y = entries of the tile table.
// local_size_x = TILES * 32 / ROWS lanes, local_size_y = SLICES threads that share the slices.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef FG_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#ifdef FG_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "params.h"

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint LANES = 8;  // TILES * 32 / ROWS
layout(constant_id = 1) const uint SLICES = 1; // 1..32
layout(constant_id = 2) const uint GATED = 0;  // 0, 1
// ROWS (1, 2, 4, 8 rows a lane) and TOKENS (1..8 tokens a lane) come from the variant table.
#ifdef FG_DOT
const uint INT8 = 1;
#else
layout(constant_id = 3) const uint INT8 = 0;          // 0, 1; types that are not quantized: 0
#endif
layout(constant_id = 4) const uint FG_NATIVE_F16 = 0; // 0, 1
// FG_SUBGROUP (4 or 8): x is loaded once by that many lanes and broadcast; the subgroup size is a
// multiple of it. A block is 8 vec4 of x.
#ifdef FG_SUBGROUP
#define SPREAD FG_SUBGROUP
#endif

#include "weights.glsl"
#ifdef FG_FUSED
#define fg_madd(acc, a, b) fma(a, b, acc)
#endif

layout(push_constant) uniform Push { fg_matmul_push p; };
#ifdef FG_DOT
layout(std430, binding = 1) readonly buffer X { uvec4 x[]; };
#define FG_X_SCALE(row, slice) uintBitsToFloat(x[(row) + p.n_blocks * 2u + (slice)])
#elif defined(FG_TEXEL)
layout(binding = 1) uniform samplerBuffer x;
#define FG_X_AT(i) texelFetch(x, int(i))
#else
layout(std430, binding = 1) readonly buffer X { vec4 x[]; };
#define FG_X_AT(i) x[i]
#endif
#ifndef FG_DOT
#define FG_X_SCALE(row, slice) FG_X_AT((row) + p.n_blocks * 8u + (slice))
#endif
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(std430, binding = 3) readonly buffer Residual { float residual[]; };
#ifdef FG_MATMUL_MOE
layout(std430, binding = 4) readonly buffer Tiles { uvec4 tiles[]; }; // expert, first, count, 0
layout(std430, binding = 5) readonly buffer Pairs { uint pairs[]; };  // grouped by expert
#endif

const bool APART = GATED != 0u && ROWS == 1u; // the rows that meet are those of two lanes
shared float partial[SLICES > 1 || APART ? SLICES * LANES * ROWS * TOKENS : 1];

#define LANES_A_TILE (32u / ROWS)
#define TILE_ROWS (GATED != 0u ? 16u : 32u)

// Of this invocation; the functions below are main()'s parts, in order.
uint lane, tile, n_tokens;
uint x_row[TOKENS], y_row[TOKENS];
uint quant_row, scale_row; // of the tile's first block, in units of 16 bytes
float acc[TOKENS * ROWS], total[TOKENS * ROWS]; // of a slice, of all

// The rows of x and y of this workgroup's tokens; false: there are none.
bool place(uint n_tiles)
{
#ifdef FG_MATMUL_MOE
    uvec4 group = tiles[gl_WorkGroupID.y];
    n_tokens = group.z;
    if (n_tokens == 0u || group.x < p.expert0 || group.x - p.expert0 >= p.n_experts)
        return false;
    tile += (group.x - p.expert0) * n_tiles;
    [[unroll]] for (uint t = 0u; t < TOKENS; t++) {
        uint pair = pairs[group.y + min(t, n_tokens - 1u)];
        x_row[t] = pair / p.x_div;
        y_row[t] = pair;
    }
#else
    uint t0 = gl_WorkGroupID.y * TOKENS;
    n_tokens = p.n_tokens - t0;
    [[unroll]] for (uint t = 0u; t < TOKENS; t++) {
        x_row[t] = t0 + min(t, n_tokens - 1u);
        y_row[t] = t0 + t;
    }
#endif
    [[unroll]] for (uint t = 0u; t < TOKENS; t++)
        x_row[t] *= p.ldx4;
    return true;
}

// acc: the sums of one slice.
void add_blocks(uint slice, uint n_slices)
{
    uint b1 = min((slice + 1u) * FG_C_SLICE_BLOCKS, p.n_blocks);
#if FG_SW || FG_SCALED != 0
    uint near = min(slice, n_slices - 1u); // past the end nothing is used
#endif
#if FG_SW
    uvec4 held[ROWS][FG_SW];
    [[unroll]] for (uint j = 0u; j < ROWS; j++)
        [[unroll]] for (uint w = 0u; w < FG_SW; w++)
            held[j][w] = FG_WEIGHT(quant_row + FG_SLICE_WORD(p.n_blocks, near, w) * 32u +
                                   j * LANES_A_TILE);
#endif
#if FG_SCALED != 0
    uvec4 scale[ROWS];
    [[unroll]] for (uint j = 0u; j < ROWS; j++)
        scale[j] = FG_WEIGHT(scale_row + near * FG_C_SLICE_BLOCKS / FG_SCALE_BLOCKS * 32u +
                             j * LANES_A_TILE);
#endif
#if FG_D_BLOCKS
    uvec4 scale_d[ROWS];
    [[unroll]] for (uint j = 0u; j < ROWS; j++)
        scale_d[j] = FG_WEIGHT(scale_row + (FG_GROUPS(FG_SCALE_BLOCKS, p.n_blocks) +
                                            near * FG_C_SLICE_BLOCKS / FG_D_BLOCKS) *
                                               32u + j * LANES_A_TILE);
#endif
#if FG_SCALED != 0
    vec4 x_scale[TOKENS]; // of the slice's blocks
    if (INT8 != 0u)
        [[unroll]] for (uint t = 0u; t < TOKENS; t++)
            x_scale[t] = FG_X_SCALE(x_row[t], near);
#endif
    for (uint b = slice * FG_C_SLICE_BLOCKS; b < b1; b++) {
#ifdef FG_DOT
#include "block_dot.glsl"
#else
#include "block.glsl"
#endif
    }
}

// The slices of the threads join the total in ascending order.
void add_slices(uint s0, uint n_slices)
{
    uint at = gl_LocalInvocationID.y * LANES + gl_LocalInvocationID.x;
    [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
        partial[i * SLICES * LANES + at] = acc[i];
    barrier();
    if (gl_LocalInvocationID.y == 0u) {
        uint n = min(SLICES, n_slices - s0);
        for (uint j = 0u; j < n; j++)
            [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
                total[i] = fg_add(total[i], partial[i * SLICES * LANES + j * LANES +
                                                    gl_LocalInvocationID.x]);
    }
    barrier();
}

void write(uint t, uint j, uint in_matrix)
{
    uint col = p.y_at + in_matrix;
    float v = total[t * ROWS + j];
    if (GATED != 0u) {
        float up = total[t * ROWS + min(j + ROWS / 2u, ROWS - 1u)];
        if (APART)
            up = partial[t * LANES + gl_LocalInvocationID.x + 16u];
        v = fg_mul(fg_silu(fg_flush(v)), fg_flush(up));
    }
    if (p.residual != 0u)
        v = fg_madd(v, p.alpha, residual[y_row[t] * p.ldr + col]);
    y[y_row[t] * p.ldy + col] = fg_flush(v);
}

void write_all()
{
    uint row0 = (gl_WorkGroupID.x * (LANES / LANES_A_TILE) + gl_LocalInvocationID.x / LANES_A_TILE) *
                TILE_ROWS + lane;
    [[unroll]] for (uint t = 0u; t < TOKENS; t++) {
        [[unroll]] for (uint j = 0u; j < ROWS; j++) {
            uint in_matrix = row0 + j * LANES_A_TILE;
            if (GATED != 0u && lane + j * LANES_A_TILE >= 16u)
                continue;
            if (t < n_tokens && in_matrix < p.n_rows)
                write(t, j, in_matrix);
        }
    }
}

void main()
{
    lane = gl_LocalInvocationID.x % LANES_A_TILE;
    tile = gl_WorkGroupID.x * (LANES / LANES_A_TILE) + gl_LocalInvocationID.x / LANES_A_TILE;
    uint n_tiles = (p.n_rows + TILE_ROWS - 1u) / TILE_ROWS;
    bool tile_ok = tile < n_tiles;
    tile = tile_ok ? tile : 0u;
    if (!place(n_tiles))
        return;
    quant_row = uint(FG_GRID) + tile * FG_QUANTS(p.n_blocks) * 32u + lane;
#if FG_SCALED != 0
    scale_row = p.scale_at + tile * FG_SCALES(p.n_blocks) * 32u + lane;
#endif
    [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
        total[i] = 0.0;
    uint n_slices = (p.n_blocks + FG_C_SLICE_BLOCKS - 1u) / FG_C_SLICE_BLOCKS;
    for (uint s0 = 0u; s0 < n_slices; s0 += SLICES) {
        [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
            acc[i] = 0.0;
        add_blocks(s0 + gl_LocalInvocationID.y, n_slices);
        if (SLICES == 1u)
            [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
                total[i] = fg_add(total[i], acc[i]);
        else
            add_slices(s0, n_slices);
    }
    if (APART) {
        [[unroll]] for (uint t = 0u; t < TOKENS; t++)
            if (gl_LocalInvocationID.y == 0u)
                partial[t * LANES + gl_LocalInvocationID.x] = total[t];
        barrier();
    }
    if (gl_LocalInvocationID.y == 0u && tile_ok)
        write_all();
}
