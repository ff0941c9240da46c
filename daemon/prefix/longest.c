#include "longest.h"

#include <stdlib.h>

void fg_prefix_cache_init(struct fg_prefix_cache *r, struct fg_engine *e, struct fg_device_tier *v,
                          struct fg_cache *c)
{
    struct fg_engine_info info;

    fg_engine_info(e, &info);
    *r = (struct fg_prefix_cache){.engine = e,
                                  .vram = v,
                                  .cache = c,
                                  .page_bytes = info.page_bytes,
                                  .state_bytes = info.state_bytes,
                                  .block_bytes = info.page_bytes ? info.page_bytes : 1};
}

/* Leading blocks present somewhere. A hole in the store may be filled by VRAM and the other way. */
static uint32_t count_blocks(const struct fg_prefix_cache *r, const struct fg_key *keys,
                             const int32_t *tokens, uint32_t n, const uint8_t *held)
{
    uint32_t i;

    for (i = 0; i < n; i++) {
        if (held[i] & FG_HELD_BLOCK)
            continue;
        if (!r->vram ||
            !fg_device_tier_find(r->vram, &keys[i], tokens + (size_t)i * FG_BLOCK_TOKENS, NULL))
            break;
    }
    return i;
}

void fg_lookup_prefix(const struct fg_prefix_cache *r, const struct fg_key *keys,
                      const int32_t *tokens, uint32_t n, struct fg_lookup *out)
{
    uint8_t *held;
    uint32_t b;

    *out = (struct fg_lookup){0};
    if (n == 0 || (!r->vram && !r->host && !r->cache))
        return;
    held = calloc(n, sizeof *held);
    if (!held)
        return; /* a hit less */
    if (r->cache)
        fg_cache_look(r->cache, keys, n, held);
    for (uint32_t i = 0; r->host && i < n; i++)
        held[i] |= (fg_host_tier_has(r->host, &keys[i], false) ? FG_HELD_BLOCK : 0) |
                   (fg_host_tier_has(r->host, &keys[i], true) ? FG_HELD_STATE : 0);
    out->found = count_blocks(r, keys, tokens, n, held);
    b = out->found;
    while (r->state_bytes && b > 0) {
        if (r->vram && fg_device_tier_state(r->vram, &keys[b - 1], b - 1) != FG_TIER_NONE)
            break;
        if (held[b - 1] & FG_HELD_STATE)
            break;
        b--;
    }
    out->restore = b;
    free(held);
}
