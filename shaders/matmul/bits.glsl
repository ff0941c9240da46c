// Four elements out of packed bits, ascending; those of a word begin at its lowest bit. In registers: the two
// tables are constants.

// 4 bits each of w.
uvec4 fg_nibbles(uint w)
{
    return uvec4(w & 15u, (w >> 4) & 15u, (w >> 8) & 15u, (w >> 12) & 15u);
}

// The same, a byte each.
uint fg_spread4(uint w)
{
    w = (w & 0xffu) | ((w & 0xff00u) << 8);
    return (w | (w << 4)) & 0x0f0f0f0fu;
}

// 4 bits each of w, a fifth of h.
uvec4 fg_bits5(uint w, uint h)
{
    return fg_nibbles(w) | (uvec4(h << 4, h << 3, h << 2, h << 1) & 16u);
}

// 4 bits each of w, a fifth and a sixth of h.
uvec4 fg_bits6(uint w, uint h)
{
    return fg_nibbles(w) | (uvec4(h << 4, h << 2, h, h >> 2) & 48u);
}

// 2 bits each of w.
uvec4 fg_bits2(uint w)
{
    return uvec4(w, w >> 2, w >> 4, w >> 6) & 3u;
}

// 2 bits each of w, a third of h.
uvec4 fg_bits3(uint w, uint h)
{
    return fg_bits2(w) | (uvec4(h << 2, h << 1, h, h >> 1) & 4u);
}

// ggml's table for IQ4_NL and IQ4_XS, -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113, of 4 bits each.
vec4 fg_iq4(uint w)
{
    uvec4 i = fg_nibbles(w);
    bvec4 odd = notEqual(i & 4u, uvec4(0u));
    uvec4 low = mix(uvec4(0xbfad9881u), uvec4(0xf6eaddcfu), odd);
    uvec4 high = mix(uvec4(0x26190d01u), uvec4(0x71594535u), odd);
    uvec4 four = mix(low, high, notEqual(i & 8u, uvec4(0u)));
    return vec4(ivec4(four << (8u * (~i & 3u))) >> 24);
}

// Twice an e2m1 number, of 4 bits each: sign, then 0 1 2 3 4 6 8 12.
vec4 fg_e2m1(uint w)
{
    uvec4 i = fg_nibbles(w);
    ivec4 v = ivec4((uvec4(0xc8643210u) >> (4u * (i & 7u))) & 15u), sign = ivec4(i >> 3);
    return vec4((v ^ -sign) + sign);
}

// Bits of block b (mod 4): planes of one and of two bits, from the words that a slice has of them.
uint fg_plane1(uvec4 s, uint b)
{
    return fg_pick(s, b);
}

uvec2 fg_plane2(uvec4 s0, uvec4 s1, uint b)
{
    uvec4 s = mix(s0, s1, bvec4((b & 2u) != 0u));
    return mix(s.xy, s.zw, bvec2((b & 1u) != 0u));
}
