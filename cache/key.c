#include "key.h"

/* The streaming state on the stack, so that a key never needs memory that could be refused. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <string.h>

static struct fg_key canonical(XXH128_hash_t h)
{
    XXH128_canonical_t c;
    struct fg_key k;

    XXH128_canonicalFromHash(&c, h);
    memcpy(k.b, c.digest, sizeof k.b);
    return k;
}

struct fg_key fg_key_root(const uint8_t model[16], const uint8_t numerics[16], const void *salt,
                          size_t salt_bytes)
{
    XXH3_state_t s;

    XXH3_INITSTATE(&s);
    XXH3_128bits_reset(&s);
    XXH3_128bits_update(&s, model, 16);
    XXH3_128bits_update(&s, numerics, 16);
    if (salt_bytes)
        XXH3_128bits_update(&s, salt, salt_bytes);
    return canonical(XXH3_128bits_digest(&s));
}

struct fg_key fg_key_next(const struct fg_key *prev, const int32_t tokens[FG_BLOCK_TOKENS])
{
    uint8_t buf[16 + 4 * FG_BLOCK_TOKENS];

    memcpy(buf, prev->b, 16);
    for (size_t i = 0; i < FG_BLOCK_TOKENS; i++) {
        uint32_t t = (uint32_t)tokens[i];
        uint8_t *p = buf + 16 + 4 * i;

        p[0] = (uint8_t)t;
        p[1] = (uint8_t)(t >> 8);
        p[2] = (uint8_t)(t >> 16);
        p[3] = (uint8_t)(t >> 24);
    }
    return canonical(XXH3_128bits(buf, sizeof buf));
}

void fg_nearest_add(struct fg_nearest *nearest, const int32_t *tokens, uint32_t n,
                    const int32_t block[FG_BLOCK_TOKENS])
{
    uint32_t same = 0, at = 0;

    while (same < n && block[same] == tokens[same])
        same++;
    if (same == FG_BLOCK_TOKENS)
        return;
    if (nearest->known && same < nearest->common)
        return;
    if (nearest->known && same == nearest->common) {
        while (at < FG_BLOCK_TOKENS && block[at] == nearest->tokens[at])
            at++;
        if (at == FG_BLOCK_TOKENS || block[at] > nearest->tokens[at])
            return;
    }
    nearest->known = true;
    nearest->common = same;
    memcpy(nearest->tokens, block, sizeof nearest->tokens);
}
