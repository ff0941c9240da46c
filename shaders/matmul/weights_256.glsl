// Quantized types whose blocks in the file are of 256 elements, so of 8 of ours. Layouts of scales, ascending:
//   Q4_K, Q5_K  f16 d, f16 dmin, the file's 12 bytes of scales and minima of 6 bits
//   Q3_K        the file's 12 bytes of scales of 6 bits, f16 d
//   Q2_K        the file's 16 bytes: scale and minimum of 16 elements each;  scale_d: 4 times f16 d, f16 dmin
//   Q6_K        the file's 16 bytes: scale of 16 elements each;              scale_d: 8 f16 d
//   TQ1_0, TQ2_0  8 f16 d
//   IQ4_XS      twice f16 d, the high bits of 8 scales (16 bits), the low ones (32 bits)
#include "bits.glsl"

// Elements 4g .. 4g+3 lie in half of a word of 4-bit, in a quarter of a word of 2-bit values.
#define FG_LOW4(q, g) (q[0][(g) / 2] >> (16 * ((g) % 2)))
#define FG_LOW2(bits, g) (bits[(g) / 4] >> (8 * ((g) % 4)))

#if defined(FG_TYPE_Q2_K)
#define FG_BITS(s, scale, b) uvec4(fg_plane2(s[0], s[1], b), 0u, 0u)
#define FG_EXPAND(q, bits, g) vec4(fg_bits2(FG_LOW2(bits, g)))
#elif defined(FG_TYPE_Q3_K)
#define FG_BITS(s, scale, b) uvec4(fg_plane2(s[0], s[1], b), fg_plane1(s[2], b), 0u)
#define FG_EXPAND(q, bits, g) vec4(ivec4(fg_bits3(FG_LOW2(bits, g), bits.z >> (4 * (g)))) - 4)
#elif defined(FG_TYPE_Q4_K)
#define FG_EXPAND(q, bits, g) vec4(fg_nibbles(FG_LOW4(q, g)))
#define FG_PACKED(q, bits, g) fg_spread4(FG_LOW4(q, g))
#elif defined(FG_TYPE_Q5_K)
#define FG_BITS(s, scale, b) uvec4(fg_plane1(s[0], b), 0u, 0u, 0u)
#define FG_EXPAND(q, bits, g) vec4(fg_bits5(FG_LOW4(q, g), bits.x >> (4 * (g))))
#elif defined(FG_TYPE_Q6_K)
#define FG_BITS(s, scale, b) uvec4(fg_plane2(s[0], s[1], b), 0u, 0u)
#define FG_EXPAND(q, bits, g) vec4(ivec4(fg_bits6(FG_LOW4(q, g), FG_LOW2(bits, g))) - 32)
#elif defined(FG_TYPE_TQ1_0) || defined(FG_TYPE_TQ2_0)
#define FG_BITS(s, scale, b) uvec4(fg_plane2(s[0], s[1], b), 0u, 0u)
#define FG_EXPAND(q, bits, g) vec4(ivec4(fg_bits2(FG_LOW2(bits, g))) - 1)
#else
#define FG_EXPAND(q, bits, g) fg_iq4(FG_LOW4(q, g))
#endif

#if defined(FG_TYPE_Q4_K) || defined(FG_TYPE_Q5_K)
// Bytes 0..3 hold 6 bits of the scales of blocks 0..3, 4..7 of their minima; 8..11 the low nibbles of the
// scales and, above, of the minima of blocks 4..7, whose high bits top the first 8 bytes.
vec2 fg_scale_6bit(uvec4 scale, uint b)
{
    uint shift = 8u * (b & 3u);
    uint low = scale.y >> shift, mid = scale.z >> shift, high = scale.w >> shift;
    uvec2 first = uvec2(low, mid), last = uvec2(high, high >> 4);
    uvec2 sc_m = mix(first & 63u, (last & 15u) | ((first >> 2) & 48u), bvec2((b & 4u) != 0u));
    vec2 d = fg_pick_halves(scale, 0u);
    return vec2(fg_mul(d.x, float(sc_m.x)), -fg_mul(d.y, float(sc_m.y)));
}
#define FG_SCALE(s, scale, scale_d, b) fg_scale_6bit(scale, b)
#elif defined(FG_TYPE_Q2_K)
vec2 fg_scale_min(uvec4 scale_d, uint b)
{
    vec2 d = fg_pick_halves(scale_d, b >> 3);
    return vec2(d.x, -d.y);
}
#define FG_SCALE(s, scale, scale_d, b) fg_scale_min(scale_d, b)
vec4 fg_parts(uvec4 scale, uint b)
{
    uint w = fg_pick(scale, b >> 1) >> (16u * (b & 1u));
    return vec4(uvec4(w, w >> 8, w >> 4, w >> 12) & 15u);
}
#define FG_PARTS(scale, scale_d, b) fg_parts(scale, b)
#elif defined(FG_TYPE_Q3_K)
// Scale i = 0..15: its low nibble in byte i % 8 (high half: i >= 8), its high bits in byte 8 + i % 4, bits
// 2 (i / 4) on.
#define FG_SCALE(s, scale, scale_d, b) fg_pick_half(scale, 6u)
vec4 fg_parts(uvec4 scale, uint b)
{
    uint low = mix(scale.x, scale.y, (b & 2u) != 0u) >> (16u * (b & 1u) + (b & 4u));
    uint high = scale.z >> (16u * (b & 1u) + (b & 6u));
    uvec2 sc = (uvec2(low, low >> 8) & 15u) | (uvec2(high << 4, high >> 4) & 48u);
    return vec4(ivec4(sc, 0u, 0u) - ivec4(32, 32, 0, 0));
}
#define FG_PARTS(scale, scale_d, b) fg_parts(scale, b)
#elif defined(FG_TYPE_Q6_K)
#define FG_SCALE(s, scale, scale_d, b) fg_pick_half(scale_d, b >> 3)
vec4 fg_parts(uvec4 scale, uint b)
{
    uint w = fg_pick(scale, b >> 1) >> (16u * (b & 1u));
    return vec4(int(w << 24) >> 24, int(w << 16) >> 24, 0, 0);
}
#define FG_PARTS(scale, scale_d, b) fg_parts(scale, b)
#elif defined(FG_TYPE_TQ1_0) || defined(FG_TYPE_TQ2_0)
#define FG_SCALE(s, scale, scale_d, b) fg_pick_half(scale, b >> 3)
#else
float fg_scale_xs(uvec4 scale, uint b)
{
    uvec2 v = mix(scale.xy, scale.zw, bvec2((b & 8u) != 0u));
    uint i = b & 7u;
    uint ls = ((v.y >> (4u * i)) & 15u) | (((v.x >> (16u + 2u * i)) & 3u) << 4);
    return fg_mul(fg_f16_bits(v.x & 0xffffu), float(int(ls) - 32));
}
#define FG_SCALE(s, scale, scale_d, b) fg_scale_xs(scale, b)
#endif
