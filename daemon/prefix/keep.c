#include "keep.h"

#include <stdlib.h>

#include "bring.h"
#include "offer.h"

static uint32_t blocks_of(const struct fg_seq *seq)
{
    return fg_seq_length(seq) / FG_BLOCK_TOKENS;
}

void fg_trail_init(struct fg_trail *t)
{
    *t = (struct fg_trail){.slot = FG_TIER_NONE, .at = FG_AT_PROMPT_END};
}

void fg_trail_finish(struct fg_trail *t, const struct fg_prefix_cache *r)
{
    if (t->slot != FG_TIER_NONE && r && r->vram)
        fg_device_tier_state_unpin(r->vram, t->slot);
    free(t->held);
    fg_trail_init(t);
}

static double seconds(const struct fg_prefix_cache *r, uint32_t from, uint32_t to)
{
    return r->rate ? fg_rate_seconds(r->rate, from * FG_BLOCK_TOKENS, to * FG_BLOCK_TOKENS) : 0;
}

bool fg_store_admits(const struct fg_prefix_cache *r, uint32_t last, uint32_t n,
                     enum fg_boundary at)
{
    uint64_t bytes = r->state_bytes;
    double saved;

    if (n <= last)
        return false;
    saved = seconds(r, last, n);
    if (at == FG_AT_PROMPT_END || at == FG_AT_ANSWER_END)
        bytes += (uint64_t)(n - last) * r->block_bytes;
    return saved == 0 || fg_cache_admits(r->cache, at, saved, bytes);
}

/* Does the tier have it that what leaves the device is kept in: the store, or else host memory? Or
 * is it on its way there? */
static bool has_below(const struct fg_prefix_cache *r, const struct fg_key *key, bool is_state)
{
    if (fg_offer_has(r, key, is_state))
        return true;
    if (!r->cache)
        return fg_host_tier_has(r->host, key, is_state);
    return is_state ? fg_cache_has_state(r->cache, key) : fg_cache_has_block(r->cache, key);
}

int fg_store_blocks(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                    const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    uint32_t n = r->read_only ? 0 : blocks_of(seq);
    int rc;

    for (; r->vram && t->indexed < n; t->indexed++)
        fg_device_tier_insert(r->vram, &prefix->keys[t->indexed],
                              t->indexed ? &prefix->keys[t->indexed - 1] : &prefix->root,
                              tokens + (size_t)t->indexed * FG_BLOCK_TOKENS, seq, t->indexed);
    while ((r->cache || r->host) && !t->refused && t->stored < n) {
        uint32_t b = t->stored;

        rc = has_below(r, &prefix->keys[b], false)
                 ? 0
                 : fg_offer_block(r, prefix, tokens, b,
                                  r->page_bytes ? fg_seq_page(seq, b) : FG_TIER_NONE,
                                  seconds(r, b, b + 1));
        if (rc == FG_EDEVICE || rc == FG_EDEVICELOST)
            return fg_fail(err, rc, "block %u could not be read from the device", b);
        /* The next one would be dropped for want of its parent. */
        t->refused = rc && rc != FG_EBUSY;
        if (rc)
            break;
        t->stored++;
    }
    return 0;
}

/* Is the state after `n` blocks wanted in the store, and would the store take it? */
static bool wants_state(const struct fg_prefix_cache *r, const struct fg_trail *t,
                        const struct fg_prefix *prefix, uint32_t n)
{
    return (r->cache || r->host) && n > 0 && t->stored >= n &&
           !has_below(r, &prefix->keys[n - 1], true) &&
           (!r->cache || fg_store_admits(r, t->last, n, t->at));
}

/* Reads the state at seq's end, behind n blocks, by way of the host, where no slot is free. */
static int offer_flat(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                      const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    void *payload = malloc(r->state_bytes);
    int rc;

    if (!payload)
        return 0; /* a hit less */
    rc = fg_seq_capture_state(seq, payload, err);
    if (rc == 0 && fg_offer_bytes(r, prefix, tokens, blocks_of(seq), payload, t->at) == 0)
        t->last = blocks_of(seq);
    free(payload);
    return rc;
}

/* Hands the state behind n blocks, in a slot that has it, to the store. */
static void offer_saved(const struct fg_prefix_cache *r, struct fg_trail *t,
                        const struct fg_prefix *prefix, const int32_t *tokens, uint32_t n,
                        uint32_t slot)
{
    if (fg_device_tier_state_busy(r->vram, slot))
        return; /* it is on its way already */
    fg_device_tier_state_pin(r->vram, slot);
    if (fg_offer_slot(r, prefix, tokens, n, slot, t->at) == 0)
        t->last = n;
}

/* Saves the state at seq's end in `slot` under the key of the block before it. */
static int save_slot(const struct fg_prefix_cache *r, struct fg_seq *seq,
                     const struct fg_prefix *prefix, uint32_t slot, bool pinned, struct fg_err *err)
{
    uint32_t b = blocks_of(seq) - 1;
    int rc = fg_seq_save_state(seq, slot, err);

    if (rc)
        fg_device_tier_state_drop(r->vram, slot);
    else
        fg_device_tier_state_set(r->vram, slot, &prefix->keys[b], b, pinned);
    return rc;
}

int fg_store_state(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                   const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    uint32_t n = blocks_of(seq), slot = FG_TIER_NONE;
    int rc = fg_store_blocks(r, t, seq, prefix, tokens, err);

    if (rc || r->read_only || r->state_bytes == 0 || n == 0)
        return rc;
    if (r->vram)
        slot = fg_device_tier_state(r->vram, &prefix->keys[n - 1], n - 1);
    if (r->vram && slot == FG_TIER_NONE) {
        slot = fg_device_tier_state_take(r->vram);
        if (slot != FG_TIER_NONE)
            rc = save_slot(r, seq, prefix, slot, false, err);
    }
    if (rc == 0 && wants_state(r, t, prefix, n)) {
        if (slot != FG_TIER_NONE)
            offer_saved(r, t, prefix, tokens, n, slot);
        else
            rc = offer_flat(r, t, seq, prefix, tokens, err);
    }
    if (has_below(r, &prefix->keys[n - 1], true))
        t->last = n;
    t->running = 0; /* what was noted lies behind this one */
    return rc;
}

int fg_store_note_state(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                        const struct fg_prefix *prefix, struct fg_err *err)
{
    uint32_t n = blocks_of(seq);
    int rc;

    if (r->read_only || r->state_bytes == 0 || n == 0)
        return 0;
    t->running = 0;
    /* Somebody else had the state there stored, and it is being read. */
    if (t->slot != FG_TIER_NONE && fg_device_tier_state_busy(r->vram, t->slot)) {
        fg_device_tier_state_unpin(r->vram, t->slot);
        t->slot = FG_TIER_NONE;
    }
    if (t->slot == FG_TIER_NONE && r->vram)
        t->slot = fg_device_tier_state_take(r->vram);
    if (t->slot != FG_TIER_NONE) {
        rc = save_slot(r, seq, prefix, t->slot, true, err);
        if (rc)
            t->slot = FG_TIER_NONE;
    } else {
        if (!r->cache && !r->host)
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

int fg_store_end(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                 const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err)
{
    int rc = fg_store_blocks(r, t, seq, prefix, tokens, err);
    uint32_t n = t->running;

    t->at = FG_AT_ANSWER_END;
    if (rc == 0 && wants_state(r, t, prefix, n)) {
        if (t->slot != FG_TIER_NONE)
            fg_offer_slot(r, prefix, tokens, n, t->slot, t->at);
        else
            fg_offer_bytes(r, prefix, tokens, n, t->held, t->at);
        t->slot = FG_TIER_NONE;
    }
    fg_restore_drop(r, seq, prefix->keys);
    fg_trail_finish(t, r);
    return rc;
}
