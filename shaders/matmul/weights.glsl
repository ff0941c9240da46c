// A block of 32 weights of one row, in registers, and its expansion. Device layout of a matrix of R
// rows and nb blocks a row (made by repack.comp):
//   quants: uvec4 [R/32 tiles][nb][FG_QW][32 rows]
//   scales: uvec4 [R/32 tiles][ceil(nb / FG_SCALE_BLOCKS)][32 rows], from scale_at on (quantized types only)
// FG_TYPE_* is set by the variant table in CMake, FG_TEXEL where the device reads texel buffers faster than
// storage buffers.
#ifndef FG_WEIGHTS_GLSL
#define FG_WEIGHTS_GLSL

#if defined(FG_TYPE_Q8_0)
#define FG_QW 2
#define FG_SCALED 1
#elif defined(FG_TYPE_Q4_0)
#define FG_QW 1
#define FG_SCALED 1
#elif defined(FG_TYPE_Q4_1)
#define FG_QW 1
#define FG_SCALED 2
#elif defined(FG_TYPE_F16) || defined(FG_TYPE_BF16)
#define FG_QW 4
#define FG_SCALED 0
#elif defined(FG_TYPE_F32)
#define FG_QW 8
#define FG_SCALED 0
#else
#error "no weight type"
#endif
#if FG_SCALED == 1
#define FG_SCALE_BLOCKS 8u // f16 d of 8 blocks, ascending from the low half of x
#elif FG_SCALED == 2
#define FG_SCALE_BLOCKS 4u // f16 d, f16 m of 4 blocks
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

// d (and m) of block b out of the scales of its group.
#if FG_SCALED == 1
float fg_scale_d(uvec4 group, uint b)
{
    uint w = (b & 4u) == 0u ? ((b & 2u) == 0u ? group.x : group.y)
                            : ((b & 2u) == 0u ? group.z : group.w);
    return fg_f16_bits((w >> (16u * (b & 1u))) & 0xffffu);
}
#elif FG_SCALED == 2
vec2 fg_scale_dm(uvec4 group, uint b)
{
    uint w = (b & 2u) == 0u ? ((b & 1u) == 0u ? group.x : group.y)
                            : ((b & 1u) == 0u ? group.z : group.w);
    return vec2(fg_f16_bits(w & 0xffffu), fg_f16_bits(w >> 16));
}
#endif

// Elements 4g .. 4g+3 of a block; g is a literal 0..7, q the block's FG_QW words.
#if defined(FG_TYPE_Q8_0)
vec4 fg_expand_word(uint w)
{
    return vec4(int(w << 24) >> 24, int(w << 16) >> 24, int(w << 8) >> 24, int(w) >> 24);
}
#define FG_EXPAND(q, g) fg_expand_word(q[(g) / 4][(g) % 4])
#elif defined(FG_TYPE_Q4_0)
vec4 fg_expand_word(uint w)
{
    return vec4(int(w & 15u) - 8, int((w >> 4) & 15u) - 8, int((w >> 8) & 15u) - 8,
                int((w >> 12) & 15u) - 8);
}
#define FG_EXPAND(q, g) fg_expand_word(q[0][(g) / 2] >> (16 * ((g) % 2)))
#elif defined(FG_TYPE_Q4_1)
vec4 fg_expand_word(uint w)
{
    return vec4(int(w & 15u), int((w >> 4) & 15u), int((w >> 8) & 15u), int((w >> 12) & 15u));
}
#define FG_EXPAND(q, g) fg_expand_word(q[0][(g) / 2] >> (16 * ((g) % 2)))
#elif defined(FG_TYPE_F16)
#define FG_EXPAND(q, g) \
    vec4(fg_f16x2(q[(g) / 2][((g) % 2) * 2]), fg_f16x2(q[(g) / 2][((g) % 2) * 2 + 1]))
#elif defined(FG_TYPE_BF16)
vec4 fg_expand_words(uint a, uint b)
{
    return vec4(uintBitsToFloat(a << 16), uintBitsToFloat(a & 0xffff0000u),
                uintBitsToFloat(b << 16), uintBitsToFloat(b & 0xffff0000u));
}
#define FG_EXPAND(q, g) fg_expand_words(q[(g) / 2][((g) % 2) * 2], q[(g) / 2][((g) % 2) * 2 + 1])
#else
#define FG_EXPAND(q, g) uintBitsToFloat(q[g])
#endif

#endif
