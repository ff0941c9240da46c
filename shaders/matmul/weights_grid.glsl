// IQ1, IQ2 and IQ3: blocks hold indices into a grid, of 8 elements (IQ1, IQ2) or 4 (IQ3) an entry. The grid lies in
// front of the quants, FG_GRID uvec4 of it, an entry a word: 4 bits for each element, of which the fourth is 0. That
// bit becomes the sign, or of IQ1 whether the element is an eighth less instead of an eighth more.
//
// A block's words of the low plane, then of the high one (where there is one):
//   IQ2_XXS  4 indices of 8 bits; 4 times 7 signs, the scale (4 bits)
//   IQ2_XS   4 times: an index of 9 bits, 7 signs
//   IQ2_S    4 low bytes of indices; 4 times 8 signs
//   IQ3_XXS  8 indices of 8 bits;                    4 times 7 signs, the scale (4 bits)
//   IQ3_S    8 low bytes of indices;                 4 times 8 signs
//   IQ1_S, IQ1_M  none;                              4 low bytes of indices
// Scales, ascending (b is the block, modulo 8):
//   IQ2_XXS, IQ3_XXS  8 f16 d
//   IQ2_XS   the file's 8 bytes, twice: byte b, scales of its halves;       scale_d: 8 f16 d
//   IQ2_S    8 bytes, b the high bits of indices; 8 bytes as of IQ2_XS;     scale_d: 8 f16 d
//   IQ3_S    8 bytes, b the high bits of indices; 8 scales of 4 bits; f16 d
//   IQ1_S    8 times 16 bits: the high bits of indices, the scale, a sign;  scale_d: 8 f16 d
//   IQ1_M    8 times 4 high bits of indices, the fourth a sign;             scale_d: the file's 8 bytes, twice
#include "bits.glsl"

uint fg_grid(uint i)
{
#ifdef FG_TEXEL
    return fg_pick(FG_WEIGHT(i >> 2), i);
#else
    return weights[i >> 2][i & 3u];
#endif
}

// 8 signs, each to the fourth bit of a nibble.
uint fg_signs(uint s)
{
    s = (s & 15u) | ((s << 12) & 0xf0000u);
    s = (s | (s << 6)) & 0x03030303u;
    return ((s | (s << 3)) & 0x11111111u) << 3;
}

// 7 signs; the eighth makes the number of negative ones even.
uint fg_even_signs(uint s)
{
    s &= 127u;
    return fg_signs(s | (uint(bitCount(s)) << 7 & 128u));
}

// Byte i (mod 16) of v; the byte of b among the lower or the upper 8.
uint fg_pick_byte(uvec4 v, uint i)
{
    return (fg_pick(v, i >> 2) >> (8u * (i & 3u))) & 255u;
}

// d * (2 * scale + 1) / 8
float fg_odd_eighths(float d, uint scale)
{
    return fg_mul(fg_mul(d, 0.125), float(2u * scale + 1u));
}

// Elements of a block: 8 a word.
#if defined(FG_TYPE_IQ1_S) || defined(FG_TYPE_IQ1_M)
// 3 high bits of each index and a sign for it, in nibbles.
uvec4 fg_grid_block(uint low, uint high)
{
    uvec4 i = (uvec4(low, low >> 8, low >> 16, low >> 24) & 255u) |
              (uvec4(high << 8, high << 4, high, high >> 4) & 0x700u);
    uvec4 minus = uvec4(high, high >> 4, high >> 8, high >> 12) & 8u;
    return uvec4(fg_grid(i.x), fg_grid(i.y), fg_grid(i.z), fg_grid(i.w)) | (minus * 0x11111111u);
}
vec4 fg_grid_values(uint w)
{
    ivec4 n = ivec4(fg_nibbles(w));
    return vec4(8 * (n & 3) - 2 * (n >> 3) - 7);
}
#elif defined(FG_TYPE_IQ3_XXS) || defined(FG_TYPE_IQ3_S)
// Two indices, with their ninth bits in h.
uint fg_grid_pair(uint low, uint h)
{
    return fg_grid((low & 255u) | ((h << 8) & 256u)) | (fg_grid(((low >> 8) & 255u) | ((h << 7) & 256u)) << 16);
}
uvec4 fg_grid_block(uvec2 low, uint h, uvec4 signs)
{
    return signs | uvec4(fg_grid_pair(low.x, h), fg_grid_pair(low.x >> 16, h >> 2), fg_grid_pair(low.y, h >> 4),
                         fg_grid_pair(low.y >> 16, h >> 6));
}
vec4 fg_grid_values(uint w)
{
    ivec4 n = ivec4(fg_nibbles(w)), v = n & 7, sign = n >> 3;
#if defined(FG_TYPE_IQ3_S)
    v = 2 * v + 1;
#else
    v = 8 * v + 4 + 2 * ((v + 1) >> 3); // 4, 12, .. 52, 62
#endif
    return vec4((v ^ -sign) + sign);
}
#else
uvec4 fg_grid_block(uvec4 index, uvec4 signs)
{
    return signs | uvec4(fg_grid(index.x), fg_grid(index.y), fg_grid(index.z), fg_grid(index.w));
}
vec4 fg_grid_values(uint w)
{
    ivec4 n = ivec4(fg_nibbles(w)), v = n & 3, sign = n >> 3;
    v = 17 * v + 8 + (v >> 1); // 8, 25, 43
    return vec4((v ^ -sign) + sign);
}
#endif
#define FG_EXPAND(q, bits, g) fg_grid_values(bits[(g) / 2] >> (16 * ((g) % 2)))

uvec4 fg_even_signs4(uint w)
{
    return uvec4(fg_even_signs(w), fg_even_signs(w >> 7), fg_even_signs(w >> 14), fg_even_signs(w >> 21));
}

uvec4 fg_signs4(uint w)
{
    return uvec4(fg_signs(w), fg_signs(w >> 8), fg_signs(w >> 16), fg_signs(w >> 24));
}

#if defined(FG_TYPE_IQ2_XXS)
uvec4 fg_bits_of(uvec2 w)
{
    return fg_grid_block(uvec4(w.x, w.x >> 8, w.x >> 16, w.x >> 24) & 255u, fg_even_signs4(w.y));
}
#define FG_BITS(s, scale, b) fg_bits_of(fg_plane2(s[0], s[1], b))
#define FG_SCALE(s, scale, scale_d, b) \
    fg_odd_eighths(fg_pick_half(scale, b >> 3), fg_plane2(s[0], s[1], b).y >> 28)
#elif defined(FG_TYPE_IQ2_XS)
uvec4 fg_bits_of(uvec2 w)
{
    return fg_grid_block(uvec4(w.x, w.x >> 16, w.y, w.y >> 16) & 511u,
                         uvec4(fg_even_signs(w.x >> 9), fg_even_signs(w.x >> 25), fg_even_signs(w.y >> 9),
                               fg_even_signs(w.y >> 25)));
}
#define FG_BITS(s, scale, b) fg_bits_of(fg_plane2(s[0], s[1], b))
#elif defined(FG_TYPE_IQ2_S)
uvec4 fg_bits_of(uvec2 w, uint high)
{
    uvec4 low = uvec4(w.x, w.x >> 8, w.x >> 16, w.x >> 24) & 255u;
    return fg_grid_block(low | (uvec4(high << 8, high << 6, high << 4, high << 2) & 768u), fg_signs4(w.y));
}
#define FG_BITS(s, scale, b) fg_bits_of(fg_plane2(s[0], s[1], b), fg_pick_byte(scale, b & 7u))
#elif defined(FG_TYPE_IQ3_XXS)
#define FG_BITS(s, scale, b) \
    fg_grid_block(fg_plane2(s[0], s[1], b), 0u, fg_even_signs4(fg_plane1(s[2], b)))
#define FG_SCALE(s, scale, scale_d, b) \
    fg_mul(2.0, fg_odd_eighths(fg_pick_half(scale, b >> 3), fg_plane1(s[2], b) >> 28))
#elif defined(FG_TYPE_IQ3_S)
#define FG_BITS(s, scale, b) \
    fg_grid_block(fg_plane2(s[0], s[1], b), fg_pick_byte(scale, b & 7u), fg_signs4(fg_plane1(s[2], b)))
float fg_scale_odd(uvec4 scale, uint b)
{
    return fg_mul(fg_f16_bits(scale.w & 0xffffu), float(2u * ((scale.z >> (4u * (b & 7u))) & 15u) + 1u));
}
#define FG_SCALE(s, scale, scale_d, b) fg_scale_odd(scale, b)
#else
// The 16 bits of block b (mod 8).
uint fg_pick_16(uvec4 scale, uint b)
{
    return (fg_pick(scale, b >> 1) >> (16u * (b & 1u))) & 0xffffu;
}
#if defined(FG_TYPE_IQ1_S)
// Its high bits and its one sign, as IQ1_M has them.
uint fg_iq1_high(uint w)
{
    uint high = (w & 7u) | ((w << 1) & 0x70u) | ((w << 2) & 0x700u) | ((w << 3) & 0x7000u);
    return high | (w >> 15) * 0x8888u;
}
#define FG_BITS(s, scale, b) fg_grid_block(fg_plane1(s[0], b), fg_iq1_high(fg_pick_16(scale, b)))
#define FG_SCALE(s, scale, scale_d, b) \
    fg_odd_eighths(fg_pick_half(scale_d, b >> 3), (fg_pick_16(scale, b) >> 12) & 7u)
#else
#define FG_BITS(s, scale, b) fg_grid_block(fg_plane1(s[0], b), fg_pick_16(scale, b))
// Four times 16 bits: 4 scales of 3 bits, and a nibble of the f16 d.
uvec2 fg_iq1_scales(uvec4 scale_d, uint b)
{
    return mix(scale_d.xy, scale_d.zw, bvec2((b & 8u) != 0u));
}
float fg_iq1_d(uvec2 v)
{
    uint h = ((v.x >> 12) & 15u) | ((v.x >> 24) & 0xf0u) | ((v.y >> 4) & 0xf00u) | ((v.y >> 16) & 0xf000u);
    return fg_mul(fg_f16_bits(h), 0.125);
}
#define FG_SCALE(s, scale, scale_d, b) fg_iq1_d(fg_iq1_scales(scale_d, b))
vec4 fg_parts(uvec2 v, uint b)
{
    uint w = mix(v.x, v.y, (b & 4u) != 0u) >> (8u * (b & 2u) + 6u * (b & 1u));
    return vec4(uvec4(w & 7u, (w >> 3) & 7u, 0u, 0u) * 2u + uvec4(1u, 1u, 0u, 0u));
}
#define FG_PARTS(scale, scale_d, b) fg_parts(fg_iq1_scales(scale_d, b), b)
#endif
#endif

#if defined(FG_TYPE_IQ2_XS) || defined(FG_TYPE_IQ2_S)
#define FG_SCALE(s, scale, scale_d, b) fg_mul(fg_pick_half(scale_d, b >> 3), 0.125)
vec4 fg_parts(uint byte)
{
    return vec4(uvec4(byte & 15u, byte >> 4, 0u, 0u) * 2u + uvec4(1u, 1u, 0u, 0u));
}
#if defined(FG_TYPE_IQ2_XS)
#define FG_PARTS(scale, scale_d, b) fg_parts(fg_pick_byte(scale, b))
#else
#define FG_PARTS(scale, scale_d, b) fg_parts(fg_pick_byte(scale, 8u + (b & 7u)))
#endif
#endif
