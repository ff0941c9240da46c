#include "bring.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"

static uint32_t blocks_of(const struct fg_seq *seq)
{
    return fg_seq_length(seq) / FG_BLOCK_TOKENS;
}

/* What is shared on the device costs no page. */
static int share_block(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_key *key,
                       const int32_t *tokens, struct fg_err *err)
{
    uint32_t page;
    int rc;

    if (!r->vram || !fg_vram_find(r->vram, key, tokens, &page))
        return fg_fail(err, FG_ENOTFOUND, "the block is not on the device");
    rc = r->page_bytes ? fg_seq_share_page(seq, page, err) : fg_seq_restore_page(seq, "", err);
    if (rc == 0)
        fg_vram_use(r->vram, key);
    return rc;
}

/* The record's bytes in one run, for free(). Any code of a fetch; they are all misses. */
static int read_flat(const struct fg_reuse *r, const struct fg_key *key, const int32_t *tokens,
                     bool is_state, void **payload, struct fg_err *err)
{
    struct fg_cache_fetch f = {.key = *key, .is_state = is_state};
    int rc;

    f.bytes = is_state ? r->state_bytes : r->block_bytes;
    memcpy(f.tokens, tokens, sizeof f.tokens);
    rc = fg_cache_get(r->cache, &f, err);
    if (rc)
        return rc;
    *payload = malloc(f.bytes);
    if (*payload)
        fg_blob_read(f.blob, 0, *payload, f.bytes);
    fg_blob_unref(f.blob);
    return *payload ? 0 : fg_fail(err, FG_ENOMEM, "no memory for a record");
}

static int read_block(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_key *key,
                      const int32_t *tokens, struct fg_err *err)
{
    void *payload;
    int rc;

    if (!r->cache)
        return fg_fail(err, FG_ENOTFOUND, "there is no store");
    if (r->page_bytes && fg_engine_free_pages(r->engine) == 0 &&
        !(r->vram && fg_vram_make_room(r->vram, 1)))
        return fg_fail(err, FG_EBUSY, "no KV page is free");
    if (read_flat(r, key, tokens, false, &payload, err))
        return FG_ENOTFOUND; /* a store that cannot be read is an empty one */
    rc = fg_seq_restore_page(seq, payload, err);
    free(payload);
    return rc;
}

int fg_restore_blocks(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_prefix *prefix,
                      const int32_t *tokens, uint32_t to, uint32_t *store_records,
                      struct fg_err *err)
{
    const struct fg_key *keys = prefix->keys;
    int rc = 0;

    for (uint32_t b = blocks_of(seq); rc == 0 && b < to; b++) {
        const int32_t *t = tokens + (size_t)b * FG_BLOCK_TOKENS;

        rc = share_block(r, seq, &keys[b], t, err);
        if (rc != FG_ENOTFOUND)
            continue;
        rc = read_block(r, seq, &keys[b], t, err);
        if (rc)
            break;
        (*store_records)++;
        if (r->vram && !r->read_only)
            fg_vram_insert(r->vram, &keys[b], b ? &keys[b - 1] : &prefix->root, t, seq, b);
    }
    return rc;
}

int fg_restore_state(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_key *keys,
                     const int32_t *tokens, uint32_t block, uint32_t *store_records,
                     struct fg_err *err)
{
    uint32_t slot = r->vram ? fg_vram_state(r->vram, &keys[block], block) : FG_VRAM_NONE;
    void *payload;
    int rc;

    if (slot != FG_VRAM_NONE) {
        fg_vram_state_touch(r->vram, slot);
        return fg_seq_load_state(seq, slot, err);
    }
    if (!r->cache)
        return fg_fail(err, FG_ENOTFOUND, "the state is nowhere");
    if (read_flat(r, &keys[block], tokens + (size_t)block * FG_BLOCK_TOKENS, true, &payload, err))
        return FG_ENOTFOUND;
    rc = fg_seq_restore_state(seq, payload, err);
    free(payload);
    if (rc)
        return rc;
    (*store_records)++;
    slot = r->vram && !r->read_only ? fg_vram_state_take(r->vram) : FG_VRAM_NONE;
    if (slot == FG_VRAM_NONE)
        return 0;
    rc = fg_seq_save_state(seq, slot, err);
    if (rc)
        fg_vram_state_drop(r->vram, slot);
    else
        fg_vram_state_set(r->vram, slot, &keys[block], block, false);
    return rc;
}

static void aim(struct fg_restore *w, const struct fg_reuse *r, uint32_t max_blocks)
{
    struct fg_lookup hit;

    fg_lookup_prefix(r, w->prefix->keys, w->tokens, max_blocks, &hit);
    if (r->vram)
        fg_vram_touch(r->vram, w->prefix->keys, hit.found);
    w->target = hit.restore;
    if (hit.found > w->found)
        w->found = hit.found;
    w->done = w->target == 0;
}

void fg_restore_begin(struct fg_restore *w, const struct fg_reuse *r,
                      const struct fg_prefix *prefix, const int32_t *tokens, uint32_t max_blocks)
{
    *w = (struct fg_restore){.prefix = prefix, .tokens = tokens};
    aim(w, r, max_blocks);
    if (r->cache && w->target)
        fg_cache_touch(r->cache, prefix->keys, w->target);
}

void fg_restore_more(struct fg_restore *w, const struct fg_reuse *r, const struct fg_seq *seq,
                     uint32_t n)
{
    uint32_t own = blocks_of(seq), b = own;

    while (
        r->vram && b < n &&
        fg_vram_find(r->vram, &w->prefix->keys[b], w->tokens + (size_t)b * FG_BLOCK_TOKENS, NULL))
        b++;
    if (b > w->found)
        w->found = b;
    while (r->state_bytes && b > own &&
           fg_vram_state(r->vram, &w->prefix->keys[b - 1], b - 1) == FG_VRAM_NONE)
        b--;
    if (b == own)
        return;
    w->target = b;
    w->done = false;
}

void fg_restore_drop(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_key *keys)
{
    if (seq && r->vram)
        fg_vram_leave(r->vram, keys, blocks_of(seq), seq);
    fg_seq_destroy(seq);
}

/* The way to w->target is broken behind `whole` blocks. */
static int fall_back(struct fg_restore *w, const struct fg_reuse *r, struct fg_seq **seq,
                     uint32_t whole, struct fg_err *err)
{
    int rc;

    w->fallbacks++;
    w->corrupt = w->corrupt || err->code == FG_ECORRUPT;
    /* A record that still waits for the store's writer is no cause for alarm. */
    fg_log(err->code == FG_ECORRUPT ? FG_LOG_WARN : FG_LOG_DEBUG, "flow",
           "restore=fallback blocks=%u of=%u cause=\"%s\"", whole, w->target, err->text);
    if (r->state_bytes == 0) {
        w->target = whole;
        w->done = true;
        return 0;
    }
    /* Without a state at its end the sequence is of no use, and it cannot be cut. */
    fg_restore_drop(r, *seq, w->prefix->keys);
    *seq = NULL;
    rc = fg_seq_create(r->engine, seq, err);
    if (rc == 0)
        aim(w, r, whole);
    return rc;
}

int fg_restore_advance(struct fg_restore *w, const struct fg_reuse *r, struct fg_seq **seq,
                       uint32_t n_blocks, struct fg_err *err)
{
    struct fg_err local = {0};
    uint32_t from = blocks_of(*seq), to;
    int rc;

    if (!err)
        err = &local;
    if (w->done)
        return 0;
    to = n_blocks < w->target - from ? from + n_blocks : w->target;
    rc = fg_restore_blocks(r, *seq, w->prefix, w->tokens, to, &w->store_records, err);
    if (rc == FG_ENOTFOUND)
        return fall_back(w, r, seq, blocks_of(*seq), err);
    if (rc || to < w->target)
        return rc;
    if (r->state_bytes)
        rc = fg_restore_state(r, *seq, w->prefix->keys, w->tokens, to - 1, &w->store_records, err);
    if (rc == FG_ENOTFOUND)
        return fall_back(w, r, seq, w->target - 1, err);
    if (rc == 0)
        w->done = true;
    return rc;
}
