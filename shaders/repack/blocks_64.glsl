// NVFP4: blocks in the file are of 64 elements, two of ours. 4 scales (unsigned e4m3) of 16 elements each, then for each
// of them 8 bytes: low nibbles, then high ones.
#include "nibbles.glsl"

void repack(uint group)
{
    uvec4 scale = uvec4(0u);

    for (uint i = 0u; i < 8u; i++) {
        uint b = group * 8u + i;
        if (b >= p.n_blocks)
            break;
        uint o = at + b / 2u * 36u, q = o + 4u + 16u * (b & 1u);
        uint w0 = read32(q), w1 = read32(q + 4u), w2 = read32(q + 8u), w3 = read32(q + 12u);
        put_quants(b, uvec4(nibbles(w0, w1, 0u), nibbles(w0, w1, 4u), nibbles(w2, w3, 0u), nibbles(w2, w3, 4u)));
        scale[i >> 1] |= read16(o + 2u * (b & 1u)) << (16u * (i & 1u));
    }
    put_scales(group, scale);
    if (group == 0u)
        put_scales(FG_GROUPS(FG_SCALE_BLOCKS, p.n_blocks), uvec4(floatBitsToUint(live ? p.scale : 0.0), 0u, 0u, 0u));
}
