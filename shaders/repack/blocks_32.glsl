// Types whose blocks in the file are of 32 elements. A block in the file: d (f16; MXFP4: one byte e), m (f16,
// where there is one), the fifth bits of all elements (32 bits, where there are any), then bytes (Q8_0), or
// nibbles: the low ones of 16 bytes, then their high ones.
#include "nibbles.glsl"

#if defined(FG_TYPE_MXFP4)
#define HEAD 1u
#else
#define HEAD (2u * uint(FG_SCALED))
#endif
#define BYTES (HEAD + 4u * uint(FG_HIGH) + 4u * uint(FG_LOW))

void repack(uint group)
{
    uvec4 scale[2] = uvec4[2](uvec4(0u), uvec4(0u)), high[2] = scale;

    for (uint i = 0u; i < 8u; i++) {
        uint b = group * 8u + i;
        if (b >= p.n_blocks)
            break;
        uint o = at + b * BYTES, q = o + HEAD + 4u * uint(FG_HIGH);
#if FG_LOW == 8
        for (uint w = 0u; w < 2u; w++) {
            uint c = q + 16u * w;
            put_quants(2u * b + w, uvec4(read32(c), read32(c + 4u), read32(c + 8u), read32(c + 12u)));
        }
#elif defined(FG_TYPE_MXFP4)
        uvec4 v = uvec4(0u); // at odd offsets as well
        for (uint c = 0u; c < 16u; c++)
            v[c >> 2] |= read8(q + c) << (8u * (c & 3u));
        put_quants(b, nibbles_16(v.x, v.y, v.z, v.w));
#else
        put_quants(b, nibbles_16(read32(q), read32(q + 4u), read32(q + 8u), read32(q + 12u)));
#endif
#if FG_HIGH
        high[i >> 2][i & 3u] = read32(o + HEAD);
#endif
#if defined(FG_TYPE_MXFP4)
        scale[0][i >> 2] |= read8(o) << (8u * (i & 3u));
#elif FG_SCALED == 1
        scale[0][i >> 1] |= read16(o) << (16u * (i & 1u));
#else
        scale[i >> 2][i & 3u] = read32(o);
#endif
    }
#if FG_HIGH
    for (uint i = 0u; i < 2u; i++)
        if (2u * group + i < FG_PLANE(FG_HIGH, p.n_blocks))
            put_quants(FG_PLANE(FG_LOW, p.n_blocks) + 2u * group + i, high[i]);
#endif
#if defined(FG_TYPE_MXFP4)
    // Two invocations fill a uvec4, each its own components.
    weights[scale_row + (group >> 1) * 32u][2u * (group & 1u)] = scale[0].x;
    weights[scale_row + (group >> 1) * 32u][2u * (group & 1u) + 1u] = scale[0].y;
#else
    for (uint i = 0u; i < 8u / FG_SCALE_BLOCKS; i++) {
        uint to = group * (8u / FG_SCALE_BLOCKS) + i;
        if (to < FG_SCALES(p.n_blocks))
            put_scales(to, scale[i]);
    }
#endif
}
