// F32, F16, BF16: 4 or 2 elements a word.
uint element(uint k)
{
#if FG_LOW == 32
    return live && k < p.k ? raw[(at >> 2) + k] : 0u;
#else
    return k < p.k ? read16(at + 2u * k) : 0u;
#endif
}

void repack(uint group)
{
    for (uint b = group * 8u; b < min(group * 8u + 8u, p.n_blocks); b++)
        for (uint w = 0u; w < FG_QW; w++) {
            uvec4 v = uvec4(0u);
            for (uint c = 0u; c < 4u; c++) {
#if FG_LOW == 32
                v[c] = element(b * 32u + w * 4u + c);
#else
                uint k = b * 32u + w * 8u + 2u * c;
                v[c] = element(k) | (element(k + 1u) << 16);
#endif
            }
            put_quants(b * FG_QW + w, v);
        }
}
