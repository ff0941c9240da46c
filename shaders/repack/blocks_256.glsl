// Types whose blocks in the file are of 256 elements: one invocation repacks one. In the file (ggml's block_q2_K
// and its like), i = 0..31 the element of our block b = 0..7:
//   Q2_K    scales 16 bytes, q 64, d, dmin         q: byte 32 (b / 4) + i, bits 2 (b % 4) on
//   Q3_K    h 32, q 64, scales 12, d               q alike; h: byte i, bit b
//   Q4_K    d, dmin, scales 12, q 128              q: byte 32 (b / 2) + i, nibble b % 2
//   Q5_K    d, dmin, scales 12, h 32, q 128        q alike; h: byte i, bit b
//   Q6_K    q 128, h 64, scales 16, d              q: byte 64 (b / 4) + 32 (b % 2) + i, nibble (b / 2) % 2
//                                                  h: byte 32 (b / 4) + i, bits 2 (b % 4) on
//   TQ2_0   q 64, d                               q: as of Q2_K
//   TQ1_0   q 52, d                               five trits a byte, or four in the last four bytes
//   IQ4_XS  d, high scales 2, low scales 4, q 128  q: 16 bytes from 16 b on, low nibbles, then high ones
#include "nibbles.glsl"

#if defined(FG_TYPE_Q2_K)
#define BYTES 84u
#define LOW_AT 16u
#elif defined(FG_TYPE_Q3_K)
#define BYTES 110u
#define LOW_AT 32u
#define HIGH_AT 0u
#elif defined(FG_TYPE_Q4_K)
#define BYTES 144u
#define LOW_AT 16u
#elif defined(FG_TYPE_Q5_K)
#define BYTES 176u
#define LOW_AT 48u
#define HIGH_AT 16u
#elif defined(FG_TYPE_Q6_K)
#define BYTES 210u
#define LOW_AT 0u
#define HIGH_AT 128u
#define D_AT 208u
#elif defined(FG_TYPE_TQ1_0)
#define BYTES 54u
#define D_AT 52u
#elif defined(FG_TYPE_TQ2_0)
#define BYTES 66u
#define LOW_AT 0u
#define D_AT 64u
#else
#define BYTES 136u
#define LOW_AT 8u
#endif

#include "group_scales.glsl"

// 2 bits, from `shift` on, of each of 16 bytes from o on.
uint pairs_of(uint o, uint shift)
{
    uint w = 0u;
    for (uint c = 0u; c < 4u; c++) {
        uint v = read32(o + 4u * c) >> shift;
        for (uint i = 0u; i < 4u; i++)
            w |= ((v >> (8u * i)) & 3u) << (8u * c + 2u * i);
    }
    return w;
}

// Bit `shift` of each of 32 bytes from o on.
uint bits_of(uint o, uint shift)
{
    uint w = 0u;
    for (uint c = 0u; c < 8u; c++) {
        uint v = read32(o + 4u * c) >> shift;
        for (uint i = 0u; i < 4u; i++)
            w |= ((v >> (8u * i)) & 1u) << (4u * c + i);
    }
    return w;
}

// The same nibble of 32 bytes from o on.
uvec4 nibbles_32(uint o, uint shift)
{
    uvec4 v;
    for (uint c = 0u; c < 4u; c++)
        v[c] = nibbles(read32(o + 8u * c), read32(o + 8u * c + 4u), shift);
    return v;
}

// 2 bits of each element of blocks b (even) and b + 1, from planes as of Q2_K.
uvec4 pairs_64(uint o, uint b)
{
    uint q = o + 32u * (b / 4u), s = 2u * (b % 4u);
    return uvec4(pairs_of(q, s), pairs_of(q + 16u, s), pairs_of(q, s + 2u), pairs_of(q + 16u, s + 2u));
}

#if defined(FG_TYPE_TQ1_0)
// Of half h = 0..15 of the 8 blocks, as 2 bits each. A byte is its trits times 256 / 243, rounded up, so that each
// multiplication by 3 brings the next one above the byte. Bytes 0..31 hold elements i, 32 + i, .. 128 + i, the next 16
// elements 160 + i, 176 + i, .., the last 4 elements 240 + i, 244 + i, ..
uint trits_of(uint o, uint h)
{
    uint w = 0u;
    for (uint i = 0u; i < 16u; i++) {
        uint from = h < 10u ? 16u * (h & 1u) + i : h < 15u ? 32u + i : 48u + (i & 3u);
        uint nth = h < 10u ? h / 2u : h < 15u ? h - 10u : i / 4u;
        uint v = read8(o + from);
        for (uint n = 0u; n < nth; n++)
            v = (v * 3u) & 255u;
        w |= (v * 3u >> 8) << (2u * i);
    }
    return w;
}
#endif

void repack_quants(uint o, uint group)
{
#if defined(FG_TYPE_TQ1_0)
    for (uint i = 0u; i < 4u; i++)
        put_quants(4u * group + i, uvec4(trits_of(o, 4u * i), trits_of(o, 4u * i + 1u), trits_of(o, 4u * i + 2u),
                                         trits_of(o, 4u * i + 3u)));
#elif FG_LOW == 2
    for (uint i = 0u; i < 4u; i++)
        put_quants(4u * group + i, pairs_64(o + LOW_AT, 2u * i));
#else
    for (uint b = 0u; b < 8u; b++) {
#if defined(FG_TYPE_IQ4_XS)
        uint q = o + LOW_AT + 16u * b;
        uvec4 v = nibbles_16(read32(q), read32(q + 4u), read32(q + 8u), read32(q + 12u));
#elif defined(FG_TYPE_Q6_K)
        uvec4 v = nibbles_32(o + LOW_AT + 64u * (b / 4u) + 32u * (b % 2u), 4u * (b / 2u % 2u));
#else
        uvec4 v = nibbles_32(o + LOW_AT + 32u * (b / 2u), 4u * (b % 2u));
#endif
        put_quants(8u * group + b, v);
    }
#endif
#if FG_HIGH == 1
    for (uint i = 0u; i < 2u; i++) {
        uvec4 v;
        for (uint c = 0u; c < 4u; c++)
            v[c] = bits_of(o + HIGH_AT, 4u * i + c);
        put_quants(FG_PLANE(FG_LOW, p.n_blocks) + 2u * group + i, v);
    }
#elif FG_HIGH == 2
    for (uint i = 0u; i < 4u; i++)
        put_quants(FG_PLANE(FG_LOW, p.n_blocks) + 4u * group + i, pairs_64(o + HIGH_AT, 2u * i));
#endif
}

void repack_scales(uint o, uint group)
{
#if defined(FG_TYPE_Q4_K) || defined(FG_TYPE_Q5_K)
    put_scales(group, read128(o));
#elif defined(FG_TYPE_Q3_K)
    put_scales(group, uvec4(read32(o + 96u), read32(o + 100u), read32(o + 104u), read16(o + 108u)));
#elif defined(FG_TYPE_IQ4_XS)
    put_half_scales(0u, o, group);
#elif defined(FG_TYPE_TQ1_0) || defined(FG_TYPE_TQ2_0)
    put_d(0u, o, group);
#elif defined(FG_TYPE_Q2_K)
    put_scales(group, read128(o));
    weights[scale_row + (FG_GROUPS(8, p.n_blocks) + group / 4u) * 32u][group & 3u] = read32(o + 80u);
#else
    put_scales(group, read128(o + 192u));
    put_d(FG_GROUPS(8, p.n_blocks), o, group);
#endif
}

void repack(uint group)
{
    uint o = at + group * BYTES;
    repack_quants(o, group);
    repack_scales(o, group);
}
