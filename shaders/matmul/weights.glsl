// A block of 32 weights of one row, in registers, and its expansion. Device layout of a matrix of R
// rows and nb blocks a row (made by repack.comp; the same table is in daemon/model/weights.c):
//   grid:   uvec4 [FG_GRID], of types that have one
//   quants: uvec4 [R/32 tiles][FG_QUANTS(nb)][32 rows]
//   scales: uvec4 [R/32 tiles][FG_SCALES(nb)][32 rows], from scale_at on (quantized types only)
// FG_TYPE_* is set by the variant table in CMake, FG_TEXEL where the device reads texel buffers faster than
// storage buffers.
//
// The quants of a row are planes, one after the other: first the low bits, then the high ones.
//   FG_LOW    bits of an element in the low plane: 0, 2, 4, 8, 16 or 32
//   FG_HIGH   bits in the high plane: 0, 1 or 2
// So are its scales:
//   FG_SCALE_BLOCKS  blocks whose scales share a uvec4; 0 for none
//   FG_D_BLOCKS      types whose d does not fit there: blocks whose d share a uvec4; else 0
// and a block is scaled in one of these ways:
//   FG_SCALED  0: not at all;  1: d * sum;  2: d * sum + m * (sum of x);
//              3: d * sum + m * (sum of each element's own minimum times x)
#ifndef FG_WEIGHTS_GLSL
#define FG_WEIGHTS_GLSL

#if defined(FG_TYPE_F32)
#define FG_LOW 32
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 0
#define FG_D_BLOCKS 0
#define FG_SCALED 0
#elif defined(FG_TYPE_F16) || defined(FG_TYPE_BF16)
#define FG_LOW 16
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 0
#define FG_D_BLOCKS 0
#define FG_SCALED 0
#elif defined(FG_TYPE_Q8_0)
#define FG_LOW 8
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#elif defined(FG_TYPE_Q4_0) || defined(FG_TYPE_IQ4_NL)
#define FG_LOW 4
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#elif defined(FG_TYPE_Q4_1)
#define FG_LOW 4
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 4
#define FG_D_BLOCKS 0
#define FG_SCALED 2
#elif defined(FG_TYPE_Q5_0)
#define FG_LOW 4
#define FG_HIGH 1
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#elif defined(FG_TYPE_Q5_1)
#define FG_LOW 4
#define FG_HIGH 1
#define FG_SCALE_BLOCKS 4
#define FG_D_BLOCKS 0
#define FG_SCALED 2
#elif defined(FG_TYPE_MXFP4)
#define FG_LOW 4
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 16
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#elif defined(FG_TYPE_Q2_K)
#define FG_LOW 2
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 32
#define FG_SCALED 3
#elif defined(FG_TYPE_Q3_K)
#define FG_LOW 2
#define FG_HIGH 1
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#elif defined(FG_TYPE_Q4_K)
#define FG_LOW 4
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 0
#define FG_SCALED 2
#elif defined(FG_TYPE_Q5_K)
#define FG_LOW 4
#define FG_HIGH 1
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 0
#define FG_SCALED 2
#elif defined(FG_TYPE_Q6_K)
#define FG_LOW 4
#define FG_HIGH 2
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 64
#define FG_SCALED 1
#elif defined(FG_TYPE_IQ4_XS)
#define FG_LOW 4
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 16
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#elif defined(FG_TYPE_TQ1_0) || defined(FG_TYPE_TQ2_0)
#define FG_LOW 2
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 64
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#elif defined(FG_TYPE_NVFP4)
#define FG_LOW 4
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 0x1000000 // one uvec4 a row
#define FG_SCALED 1
#elif defined(FG_TYPE_IQ1_S)
#define FG_LOW 0
#define FG_HIGH 1
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 64
#define FG_SCALED 1
#define FG_GRID 512
#elif defined(FG_TYPE_IQ1_M)
#define FG_LOW 0
#define FG_HIGH 1
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 16
#define FG_SCALED 1
#define FG_GRID 512
#elif defined(FG_TYPE_IQ2_XXS)
#define FG_LOW 2
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 64
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#define FG_GRID 64
#elif defined(FG_TYPE_IQ2_XS)
#define FG_LOW 2
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 16
#define FG_D_BLOCKS 64
#define FG_SCALED 1
#define FG_GRID 128
#elif defined(FG_TYPE_IQ2_S)
#define FG_LOW 2
#define FG_HIGH 0
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 64
#define FG_SCALED 1
#define FG_GRID 256
#elif defined(FG_TYPE_IQ3_XXS)
#define FG_LOW 2
#define FG_HIGH 1
#define FG_SCALE_BLOCKS 64
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#define FG_GRID 64
#elif defined(FG_TYPE_IQ3_S)
#define FG_LOW 2
#define FG_HIGH 1
#define FG_SCALE_BLOCKS 8
#define FG_D_BLOCKS 0
#define FG_SCALED 1
#define FG_GRID 128
#else
#error "no weight type"
#endif
#ifndef FG_GRID
#define FG_GRID 0
#endif

// Elements of a block in the file: of K-quants, IQ4_XS, TQ and those with a grid, 8 of our blocks.
#if FG_GRID || defined(FG_TYPE_Q2_K) || defined(FG_TYPE_Q3_K) || defined(FG_TYPE_Q4_K) || defined(FG_TYPE_Q5_K) || \
    defined(FG_TYPE_Q6_K) || defined(FG_TYPE_IQ4_XS) || defined(FG_TYPE_TQ1_0) || defined(FG_TYPE_TQ2_0)
#define FG_FILE_BLOCK 256
#elif defined(FG_TYPE_NVFP4)
#define FG_FILE_BLOCK 64
#else
#define FG_FILE_BLOCK 32
#endif

// uvec4 of one row of nb blocks: of a plane of n bits an element, of scales shared by n blocks, of all.
#define FG_PLANE(n, nb) ((uint(n) * (nb) + 3u) / 4u)
#define FG_GROUPS(n, nb) (((nb) + uint(n) - 1u) / uint(n))
#define FG_QUANTS(nb) (FG_PLANE(FG_LOW, nb) + FG_PLANE(FG_HIGH, nb))
#if FG_D_BLOCKS
#define FG_SCALES(nb) (FG_GROUPS(FG_SCALE_BLOCKS, nb) + FG_GROUPS(FG_D_BLOCKS, nb))
#else
#define FG_SCALES(nb) FG_GROUPS(FG_SCALE_BLOCKS, nb)
#endif

// What is loaded: FG_QW uvec4 that a block has to itself, FG_SW that the 4 blocks of a slice share (2-bit
// quants first, then high bits).
#define FG_QW (FG_LOW / 4)
#if FG_LOW == 2
#define FG_SW (2 + FG_HIGH)
#define FG_SLICE_WORD(nb, slice, w) \
    mix((slice) * 2u + (w), FG_PLANE(FG_LOW, nb) + (slice) * uint(FG_HIGH) + (w) - 2u, (w) >= 2u)
#else
#define FG_SW FG_HIGH
#define FG_SLICE_WORD(nb, slice, w) (FG_PLANE(FG_LOW, nb) + (slice) * uint(FG_HIGH) + (w))
#endif

#define FG_HALF_IN_USE
#include "../lib/canon.glsl"

#ifndef FG_WEIGHTS_WRITTEN
#ifdef FG_TEXEL
layout(binding = 0) uniform usamplerBuffer weights;
#define FG_WEIGHT(i) texelFetch(weights, int(i))
#else
layout(std430, binding = 0) readonly buffer Weights { uvec4 weights[]; };
#define FG_WEIGHT(i) weights[i]
#endif
#endif

// Word i (mod 4) of v. By selections: branches in what is inlined so often cost some compilers minutes.
uint fg_pick(uvec4 v, uint i)
{
    uvec2 w = mix(v.xz, v.yw, bvec2((i & 1u) != 0u));
    return mix(w.x, w.y, (i & 2u) != 0u);
}

// Component i (mod 4) of v.
float fg_component(vec4 v, uint i)
{
    vec2 w = mix(v.xz, v.yw, bvec2((i & 1u) != 0u));
    return mix(w.x, w.y, (i & 2u) != 0u);
}

// Half i (mod 8) of v, an f16; the halves of its word i (mod 4).
float fg_pick_half(uvec4 v, uint i)
{
    return fg_f16_bits((fg_pick(v, i >> 1) >> (16u * (i & 1u))) & 0xffffu);
}

vec2 fg_pick_halves(uvec4 v, uint i)
{
    uint w = fg_pick(v, i);
    return vec2(fg_f16_bits(w & 0xffffu), fg_f16_bits(w >> 16));
}

// Each family defines, with q the block's own words, s the slice's, scale and scale_d the groups'; an argument
// that a type does not have is not looked at:
//   FG_BITS(s, scale, b)      uvec4: what of s and scale belongs to block b's elements (where FG_SW is not 0)
//   FG_EXPAND(q, bits, g)     vec4: elements 4g .. 4g+3 of a block; g is a literal 0..7
//   FG_PACKED(q, bits, g)     uint: the same elements as signed bytes, before their factors; for FG_DOT
//   FG_SCALE(s, scale, scale_d, b)  block b's d (float), or d and m (vec2)
//   FG_PARTS(scale, scale_d, b)  where defined, vec4: whole factors of the block's two halves, then their
//                             integer minima; FG_EXPAND's elements are multiplied by the former
#if FG_LOW >= 16
#include "weights_plain.glsl"
#elif FG_GRID
#ifndef FG_WEIGHTS_WRITTEN
#include "weights_grid.glsl"
#endif
#elif FG_FILE_BLOCK == 256
#include "weights_256.glsl"
#else
#include "weights_32.glsl"
#endif

#ifdef FG_DOT
#ifndef FG_PACKED
#define FG_PACKED(q, bits, g) fg_bytes(ivec4(FG_EXPAND(q, bits, g)))
#endif

uint fg_bytes(ivec4 v)
{
    uvec4 u = uvec4(v) & 255u;
    return u.x | (u.y << 8) | (u.z << 16) | (u.w << 24);
}

// OpSDot of SPV_KHR_integer_dot_product, four signed bytes in a word.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int fg_dot4(uint a, uint b, spirv_literal int format);

int fg_dot16(uvec4 a, uvec4 b)
{
    return (fg_dot4(a.x, b.x, 0) + fg_dot4(a.y, b.y, 0)) + (fg_dot4(a.z, b.z, 0) + fg_dot4(a.w, b.w, 0));
}
#endif

#endif
