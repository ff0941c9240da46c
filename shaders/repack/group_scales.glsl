// Scales of groups of 8 blocks that several invocations fill a uvec4 with. `first` is the uvec4 of the row's scales
// that they begin at; a block in the file has BYTES bytes and an f16 d at D_AT (where put_d is in use).

// d of each group, ascending. Those of two groups share a word: the first one writes it.
#if defined(D_AT)
void put_d(uint first, uint o, uint group)
{
    uint next = group + 1u < FG_GROUPS(8, p.n_blocks) ? read16(o + D_AT + BYTES) : 0u;
    if ((group & 1u) == 0u)
        weights[scale_row + (first + group / 8u) * 32u][group / 2u & 3u] = read16(o + D_AT) | (next << 16);
}
#endif

// Two invocations fill a uvec4, each its own components: the 8 bytes from o on.
void put_half_scales(uint first, uint o, uint group)
{
    weights[scale_row + (first + (group >> 1)) * 32u][2u * (group & 1u)] = read32(o);
    weights[scale_row + (first + (group >> 1)) * 32u][2u * (group & 1u) + 1u] = read32(o + 4u);
}

uvec4 read128(uint o)
{
    return uvec4(read32(o), read32(o + 4u), read32(o + 8u), read32(o + 12u));
}
