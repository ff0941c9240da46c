// Quantized types whose blocks in the file are of 32 elements, or of 64. Layouts of scales, ascending:
//   Q8_0, Q4_0, Q5_0, IQ4_NL  8 f16 d;  Q4_1, Q5_1  4 times f16 d, f16 m;  MXFP4  16 bytes e
//   NVFP4  16 bytes, unsigned e4m3 of 16 elements each;  scale_d: the tensor's scale * 2^-10 (f32)
#include "bits.glsl"

#if FG_HIGH == 1
#define FG_BITS(s, scale, b) uvec4(fg_plane1(s[0], b), 0u, 0u, 0u)
#endif

// Elements 4g .. 4g+3 lie in half of a word.
#define FG_LOW4(q, g) (q[0][(g) / 2] >> (16 * ((g) % 2)))

#if defined(FG_TYPE_Q8_0)
vec4 fg_expand_word(uint w)
{
    return vec4(int(w << 24) >> 24, int(w << 16) >> 24, int(w << 8) >> 24, int(w) >> 24);
}
#define FG_EXPAND(q, bits, g) fg_expand_word(q[(g) / 4][(g) % 4])
#define FG_PACKED(q, bits, g) q[(g) / 4][(g) % 4]
#elif defined(FG_TYPE_Q4_0)
#define FG_EXPAND(q, bits, g) vec4(ivec4(fg_nibbles(FG_LOW4(q, g))) - 8)
// Byte by byte 8 less: the 128 that is added and taken away keeps them apart.
#define FG_PACKED(q, bits, g) (((fg_spread4(FG_LOW4(q, g)) | 0x80808080u) - 0x08080808u) ^ 0x80808080u)
#elif defined(FG_TYPE_Q4_1)
#define FG_EXPAND(q, bits, g) vec4(fg_nibbles(FG_LOW4(q, g)))
#define FG_PACKED(q, bits, g) fg_spread4(FG_LOW4(q, g))
#elif defined(FG_TYPE_Q5_0)
#define FG_EXPAND(q, bits, g) vec4(ivec4(fg_bits5(FG_LOW4(q, g), bits.x >> (4 * (g)))) - 16)
#elif defined(FG_TYPE_Q5_1)
#define FG_EXPAND(q, bits, g) vec4(fg_bits5(FG_LOW4(q, g), bits.x >> (4 * (g))))
#elif defined(FG_TYPE_IQ4_NL)
#define FG_EXPAND(q, bits, g) fg_iq4(FG_LOW4(q, g))
#else
#define FG_EXPAND(q, bits, g) fg_e2m1(FG_LOW4(q, g))
#endif

#if defined(FG_TYPE_MXFP4)
// 2^(e - 128), for twice the values of e2m1; below 2^-100 it is 0.
float fg_scale_e(uvec4 scale, uint b)
{
    uint e = (fg_pick(scale, b >> 2) >> (8u * (b & 3u))) & 255u;
    return mix(uintBitsToFloat((e - 1u) << 23), 0.0, e < 28u);
}
#define FG_SCALE(s, scale, scale_d, b) fg_scale_e(scale, b)
#elif defined(FG_TYPE_NVFP4)
// 2^9 times the number of 4 bits of exponent and 3 of mantissa: whole. All ones, 0x7f, are 0 (ggml's reading).
float fg_ue4m3(uint w)
{
    uint e = (w >> 3) & 15u, m = w & 7u;
    uint v = mix((m | 8u) << (max(e, 1u) - 1u), m, e == 0u);
    return float(mix(v, 0u, w == 127u));
}
vec4 fg_parts(uvec4 scale, uint b)
{
    uint w = fg_pick(scale, b >> 1) >> (16u * (b & 1u));
    return vec4(fg_ue4m3(w & 255u), fg_ue4m3((w >> 8) & 255u), 0.0, 0.0);
}
#define FG_PARTS(scale, scale_d, b) fg_parts(scale, b)
#define FG_SCALE(s, scale, scale_d, b) uintBitsToFloat(scale_d.x)
#elif FG_SCALED == 1
#define FG_SCALE(s, scale, scale_d, b) fg_pick_half(scale, b)
#else
#define FG_SCALE(s, scale, scale_d, b) fg_pick_halves(scale, b)
#endif
