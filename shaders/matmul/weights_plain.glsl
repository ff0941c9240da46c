// Weights without scales: F32, F16, BF16.
#if defined(FG_TYPE_F16)
#define FG_EXPAND(q, bits, g) \
    vec4(fg_f16x2(q[(g) / 2][((g) % 2) * 2]), fg_f16x2(q[(g) / 2][((g) % 2) * 2 + 1]))
#elif defined(FG_TYPE_BF16)
vec4 fg_expand_words(uint a, uint b)
{
    return vec4(uintBitsToFloat(a << 16), uintBitsToFloat(a & 0xffff0000u),
                uintBitsToFloat(b << 16), uintBitsToFloat(b & 0xffff0000u));
}
#define FG_EXPAND(q, bits, g) \
    fg_expand_words(q[(g) / 2][((g) % 2) * 2], q[(g) / 2][((g) % 2) * 2 + 1])
#else
#define FG_EXPAND(q, bits, g) uintBitsToFloat(q[g])
#endif
