// Nibbles `shift` (0 or 4) of the 8 bytes a, b (ascending) as 8 nibbles of a word.
uint nibbles(uint a, uint b, uint shift)
{
    uint w = 0u;
    for (uint i = 0u; i < 4u; i++) {
        w |= ((a >> (8u * i + shift)) & 15u) << (4u * i);
        w |= ((b >> (8u * i + shift)) & 15u) << (4u * i + 16u);
    }
    return w;
}

// The low nibbles of 16 bytes, then their high ones.
uvec4 nibbles_16(uint b0, uint b1, uint b2, uint b3)
{
    return uvec4(nibbles(b0, b1, 0u), nibbles(b2, b3, 0u), nibbles(b0, b1, 4u), nibbles(b2, b3, 4u));
}
