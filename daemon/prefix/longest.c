#include "longest.h"

#include "base/log.h"

void fg_reuse_init(struct fg_reuse *r, struct fg_engine *e, struct fg_vram *v, struct fg_cache *c)
{
    struct fg_engine_info info;

    fg_engine_info(e, &info);
    *r = (struct fg_reuse){.engine = e,
                           .vram = v,
                           .cache = c,
                           .page_bytes = info.page_bytes,
                           .state_bytes = info.state_bytes,
                           .block_bytes = info.page_bytes ? info.page_bytes : 1};
}

/* Leading blocks present somewhere. A hole in the store may be filled by VRAM and the other way. */
static uint32_t count_blocks(const struct fg_reuse *r, const struct fg_key *keys,
                             const int32_t *tokens, uint32_t n)
{
    struct fg_cache_hit hit = {0};
    struct fg_err err = {0};
    uint32_t i;

    if (r->cache && fg_cache_find(r->cache, keys, tokens, n, false, &hit, &err)) {
        fg_log(FG_LOG_WARN, "flow", "lookup=failed cause=\"%s\"", err.text);
        hit.n_blocks = 0;
    }
    for (i = 0; i < n; i++) {
        if (i < hit.n_blocks)
            continue;
        if (r->vram && fg_vram_find(r->vram, &keys[i], tokens + (size_t)i * FG_BLOCK_TOKENS, NULL))
            continue;
        if (!r->cache || !fg_cache_has_block(r->cache, &keys[i]))
            break;
    }
    return i;
}

void fg_lookup_prefix(const struct fg_reuse *r, const struct fg_key *keys, const int32_t *tokens,
                      uint32_t n, struct fg_lookup *out)
{
    uint32_t b;

    *out = (struct fg_lookup){0};
    if (n == 0 || (!r->vram && !r->cache))
        return;
    out->found = count_blocks(r, keys, tokens, n);
    b = out->found;
    while (r->state_bytes && b > 0) {
        if (r->vram && fg_vram_state(r->vram, &keys[b - 1], b - 1) != FG_VRAM_NONE)
            break;
        if (r->cache && fg_cache_has_state(r->cache, &keys[b - 1]))
            break;
        b--;
    }
    out->restore = b;
}
