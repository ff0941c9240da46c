#include "siphash.h"

static uint64_t rotate(uint64_t x, unsigned b)
{
    return x << b | x >> (64 - b);
}

static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void save(uint64_t v, uint8_t out[8])
{
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static void rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

void fg_siphash128(const uint8_t key[16], const void *data, size_t n, uint8_t out[16])
{
    const uint64_t k0 = load(key, 8), k1 = load(key + 8, 8);
    const uint8_t *p = data;
    uint64_t v[4] = {
        k0 ^ UINT64_C(0x736f6d6570736575),
        k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
        k0 ^ UINT64_C(0x6c7967656e657261),
        k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t left = n;

    for (; left >= 8; left -= 8, p += 8)
        absorb(v, load(p, 8));
    absorb(v, load(p, left) | (uint64_t)n << 56);
    v[2] ^= 0xee;
    rounds(v, 4);
    save(v[0] ^ v[1] ^ v[2] ^ v[3], out);
    v[1] ^= 0xdd;
    rounds(v, 4);
    save(v[0] ^ v[1] ^ v[2] ^ v[3], out + 8);
}
