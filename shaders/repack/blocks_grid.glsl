// IQ1, IQ2 and IQ3: one invocation repacks a block of 256. In the file (ggml's block_iq2_xxs and its like), where
// matmul/weights_grid.glsl says what the parts hold:
//   IQ2_XXS  d, 8 times 2 words              IQ2_XS   d, 32 times 16 bits, scales 8
//   IQ2_S    d, indices 32, signs 32, their high bits 8, scales 8
//   IQ3_XXS  d, indices 64, signs and scales 8 words
//   IQ3_S    d, indices 64, their high bits 8, signs 32, scales 4
//   IQ1_S    d, indices 32, their high bits, scales and signs 8 times 16 bits
//   IQ1_M    indices 32, their high bits and signs 16, scales and d 8
#if defined(FG_TYPE_IQ2_XXS)
#define BYTES 66u
#elif defined(FG_TYPE_IQ2_XS)
#define BYTES 74u
#elif defined(FG_TYPE_IQ2_S)
#define BYTES 82u
#elif defined(FG_TYPE_IQ3_XXS)
#define BYTES 98u
#define HIGH_AT 66u
#elif defined(FG_TYPE_IQ3_S)
#define BYTES 110u
#define HIGH_AT 74u
#elif defined(FG_TYPE_IQ1_S)
#define BYTES 50u
#define HIGH_AT 2u
#else
#define BYTES 56u
#define HIGH_AT 0u
#endif
#define D_AT 0u
#include "group_scales.glsl"

void repack_quants(uint o, uint group)
{
#if FG_LOW == 2
    for (uint i = 0u; i < 4u; i++) {
#if defined(FG_TYPE_IQ2_S)
        uint q = o + 2u + 8u * i;
        put_quants(4u * group + i, uvec4(read32(q), read32(q + 32u), read32(q + 4u), read32(q + 36u)));
#else
        put_quants(4u * group + i, read128(o + 2u + 16u * i));
#endif
    }
#endif
#if FG_HIGH == 1
    for (uint i = 0u; i < 2u; i++)
        put_quants(FG_PLANE(FG_LOW, p.n_blocks) + 2u * group + i, read128(o + HIGH_AT + 16u * i));
#endif
}

void repack_scales(uint o, uint group)
{
#if defined(FG_TYPE_IQ2_XXS) || defined(FG_TYPE_IQ3_XXS)
    put_d(0u, o, group);
#elif defined(FG_TYPE_IQ2_XS)
    put_half_scales(0u, o + 66u, group);
    put_d(FG_GROUPS(FG_SCALE_BLOCKS, p.n_blocks), o, group);
#elif defined(FG_TYPE_IQ2_S)
    put_scales(group, read128(o + 66u));
    put_d(FG_GROUPS(FG_SCALE_BLOCKS, p.n_blocks), o, group);
#elif defined(FG_TYPE_IQ3_S)
    put_scales(group, uvec4(read32(o + 66u), read32(o + 70u), read32(o + 106u), read16(o)));
#elif defined(FG_TYPE_IQ1_S)
    put_scales(group, read128(o + 34u));
    put_d(FG_GROUPS(FG_SCALE_BLOCKS, p.n_blocks), o, group);
#else
    put_scales(group, read128(o + 32u));
    put_half_scales(FG_GROUPS(FG_SCALE_BLOCKS, p.n_blocks), o + 48u, group);
#endif
}

void repack(uint group)
{
    uint o = at + group * BYTES;
    repack_quants(o, group);
    repack_scales(o, group);
}
