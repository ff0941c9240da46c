#include "keep.h"

#include <stdlib.h>

#include "base/blob.h"
#include "bring.h"

static uint32_t blocks_of(const struct fg_seq *seq)
{
    return fg_seq_length(seq) / FG_BLOCK_TOKENS;
}

void fg_trail_init(struct fg_trail *t)
{
    *t = (struct fg_trail){.slot = FG_VRAM_NONE, .at = FG_AT_PROMPT_END};
}

void fg_trail_finish(struct fg_trail *t, const struct fg_reuse *r)
{
    if (t->slot != FG_VRAM_NONE && r && r->vram)
        fg_vram_state_unpin(r->vram, t->slot);
    free(t->held);
    fg_trail_init(t);
}

static double seconds(const struct fg_reuse *r, uint32_t from, uint32_t to)
{
    return r->rate ? fg_rate_seconds(r->rate, from * FG_BLOCK_TOKENS, to * FG_BLOCK_TOKENS) : 0;
}

bool fg_store_admits(const struct fg_reuse *r, const struct fg_trail *t, uint32_t n,
                     enum fg_boundary at)
{
    uint64_t bytes = r->state_bytes;
    double saved;

    if (n <= t->last)
        return false;
    saved = seconds(r, t->last, n);
    if (at == FG_AT_PROMPT_END || at == FG_AT_ANSWER_END)
        bytes += (uint64_t)(n - t->last) * r->block_bytes;
    return saved == 0 || fg_cache_admits(r->cache, at, saved, bytes);
}

/* Hands block t->stored to the store. *full: its queue takes no more now. */
static int put_block(const struct fg_reuse *r, struct fg_trail *t, struct fg_seq *seq,
                     const struct fg_prefix *prefix, const int32_t *tokens, bool *full,
                     struct fg_err *err)
{
    uint32_t b = t->stored;
    const struct fg_key *key = &prefix->keys[b];
    struct fg_cache_put p = {.key = key,
                             .tokens = tokens + (size_t)b * FG_BLOCK_TOKENS,
                             .parent = b ? &prefix->keys[b - 1] : &prefix->root,
                             .index = b,
                             .seconds = seconds(r, b, b + 1)};
    void *payload;
    int rc;

    if (fg_cache_has_block(r->cache, key))
        return 0;
    payload = calloc(1, r->block_bytes);
    if (!payload) {
        *full = true;
        return 0;
    }
    rc = r->page_bytes ? fg_seq_capture_page(seq, b, payload, err) : 0;
    if (rc) {
        free(payload);
        return rc;
    }
    p.blob = fg_blob_copy_of(payload, r->block_bytes);
    free(payload);
    rc = p.blob ? fg_cache_put(r->cache, &p) : FG_EBUSY;
    fg_blob_unref(p.blob);
    *full = rc == FG_EBUSY;
    t->refused = rc && rc != FG_EBUSY;
    return 0;
}

int fg_store_blocks(const struct fg_reuse *r, struct fg_trail *t, struct fg_seq *seq,
                    const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    uint32_t n = r->read_only ? 0 : blocks_of(seq);
    bool full = false;

    for (; r->vram && t->indexed < n; t->indexed++)
        fg_vram_insert(r->vram, &prefix->keys[t->indexed],
                       t->indexed ? &prefix->keys[t->indexed - 1] : &prefix->root,
                       tokens + (size_t)t->indexed * FG_BLOCK_TOKENS, seq, t->indexed);
    while (r->cache && !t->refused && t->stored < n) {
        int rc = put_block(r, t, seq, prefix, tokens, &full, err);

        if (rc)
            return rc;
        /* The next one would be dropped for want of its parent. */
        if (full || t->refused)
            break;
        t->stored++;
    }
    return 0;
}

/* Is the state after `n` blocks wanted in the store, and would the store take it? */
static bool wants_state(const struct fg_reuse *r, const struct fg_trail *t,
                        const struct fg_prefix *prefix, uint32_t n)
{
    return r->cache && n > 0 && t->stored >= n &&
           !fg_cache_has_state(r->cache, &prefix->keys[n - 1]) && fg_store_admits(r, t, n, t->at);
}

/* Hands a state behind n blocks to the store; frees it. */
static void give_state(const struct fg_reuse *r, const struct fg_prefix *prefix,
                       const int32_t *tokens, uint32_t n, enum fg_boundary at, void *payload)
{
    struct fg_cache_put p = {.key = &prefix->keys[n - 1],
                             .tokens = tokens + (size_t)(n - 1) * FG_BLOCK_TOKENS,
                             .blob = fg_blob_copy_of(payload, r->state_bytes),
                             .is_state = true,
                             .at = at};

    free(payload);
    if (p.blob) /* else a hit less */
        fg_cache_put(r->cache, &p);
    fg_blob_unref(p.blob);
}

/* Reads the state at seq's end, behind n blocks, and hands it to the store. */
static int put_state(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_prefix *prefix,
                     const int32_t *tokens, uint32_t n, enum fg_boundary at, struct fg_err *err)
{
    void *payload = malloc(r->state_bytes);
    int rc;

    if (!payload)
        return 0; /* a hit less */
    rc = fg_seq_capture_state(seq, payload, err);
    if (rc) {
        free(payload);
        return rc;
    }
    give_state(r, prefix, tokens, n, at, payload);
    return 0;
}

/* Saves the state at seq's end in `slot` under the key of the block before it. */
static int save_slot(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_prefix *prefix,
                     uint32_t slot, bool pinned, struct fg_err *err)
{
    uint32_t b = blocks_of(seq) - 1;
    int rc = fg_seq_save_state(seq, slot, err);

    if (rc)
        fg_vram_state_drop(r->vram, slot);
    else
        fg_vram_state_set(r->vram, slot, &prefix->keys[b], b, pinned);
    return rc;
}

int fg_store_state(const struct fg_reuse *r, struct fg_trail *t, struct fg_seq *seq,
                   const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    uint32_t n = blocks_of(seq), slot = FG_VRAM_NONE;
    int rc = fg_store_blocks(r, t, seq, prefix, tokens, err);

    if (rc || r->read_only || r->state_bytes == 0 || n == 0)
        return rc;
    if (r->vram && fg_vram_state(r->vram, &prefix->keys[n - 1], n - 1) == FG_VRAM_NONE)
        slot = fg_vram_state_take(r->vram);
    if (slot != FG_VRAM_NONE)
        rc = save_slot(r, seq, prefix, slot, false, err);
    if (rc == 0 && wants_state(r, t, prefix, n))
        rc = put_state(r, seq, prefix, tokens, n, t->at, err);
    if (r->cache && fg_cache_has_state(r->cache, &prefix->keys[n - 1]))
        t->last = n;
    t->running = 0; /* what was noted lies behind this one */
    return rc;
}

int fg_store_note_state(const struct fg_reuse *r, struct fg_trail *t, struct fg_seq *seq,
                        const struct fg_prefix *prefix, struct fg_err *err)
{
    uint32_t n = blocks_of(seq);
    int rc;

    if (r->read_only || r->state_bytes == 0 || n == 0)
        return 0;
    t->running = 0;
    if (t->slot == FG_VRAM_NONE && r->vram)
        t->slot = fg_vram_state_take(r->vram);
    if (t->slot != FG_VRAM_NONE) {
        rc = save_slot(r, seq, prefix, t->slot, true, err);
        if (rc)
            t->slot = FG_VRAM_NONE;
    } else {
        if (!r->cache)
            return 0;
        if (!t->held)
            t->held = malloc(r->state_bytes);
        if (!t->held)
            return 0;
        rc = fg_seq_capture_state(seq, t->held, err);
    }
    if (rc == 0)
        t->running = n;
    return rc;
}

/* Builds the sequence of the n first pages of `pages`, with the state of `slot`, and stores it. */
static int put_slot(const struct fg_reuse *r, const uint32_t *pages, uint32_t n, uint32_t slot,
                    const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    struct fg_seq *seq;
    int rc = fg_seq_create(r->engine, &seq, err);

    if (rc)
        return rc;
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = r->page_bytes ? fg_seq_share_page(seq, pages[i], err)
                           : fg_seq_restore_page(seq, "", err);
    if (rc == 0)
        rc = fg_seq_load_state(seq, slot, err);
    if (rc == 0)
        rc = put_state(r, seq, prefix, tokens, n, FG_AT_ANSWER_END, err);
    fg_seq_destroy(seq);
    return rc;
}

/* The noted state lies in a slot, behind seq's end: its pages are kept while seq makes place. */
static int end_with_slot(const struct fg_reuse *r, struct fg_trail *t, struct fg_seq *seq,
                         const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    uint32_t n = t->running;
    uint32_t *pages = malloc(n * sizeof *pages);
    int rc;

    if (!pages) {
        fg_restore_drop(r, seq, prefix->keys);
        return 0; /* a hit less */
    }
    for (uint32_t i = 0; r->page_bytes && i < n; i++) {
        pages[i] = fg_seq_page(seq, i);
        fg_page_ref(r->engine, pages[i]);
    }
    fg_restore_drop(r, seq, prefix->keys);
    rc = put_slot(r, pages, n, t->slot, prefix, tokens, err);
    for (uint32_t i = 0; r->page_bytes && i < n; i++)
        fg_page_unref(r->engine, pages[i]);
    free(pages);
    return rc;
}

int fg_store_end(const struct fg_reuse *r, struct fg_trail *t, struct fg_seq *seq,
                 const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    int rc = fg_store_blocks(r, t, seq, prefix, tokens, err);
    uint32_t n = t->running;

    t->at = FG_AT_ANSWER_END;
    if (rc == 0 && wants_state(r, t, prefix, n)) {
        if (t->slot != FG_VRAM_NONE) {
            rc = end_with_slot(r, t, seq, prefix, tokens, err);
            seq = NULL;
        } else {
            give_state(r, prefix, tokens, n, FG_AT_ANSWER_END, t->held);
            t->held = NULL;
        }
    }
    fg_restore_drop(r, seq, prefix->keys);
    fg_trail_finish(t, r);
    return rc;
}
