#include "explain.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_TOKENS = 12 };

/* The tokens' text, as much as fits in whole tokens; from the end when `tail`. */
static uint32_t text_of(const struct fg_tokenizer *t, const int32_t *tokens, uint32_t n, bool tail,
                        char out[FG_WHY_TEXT])
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < n; i++) {
        size_t bytes;
        const char *piece = fg_tokenizer_piece(t, tokens[tail ? n - 1 - i : i], &bytes);

        if (bytes > FG_WHY_TEXT - used)
            break;
        if (bytes == 0)
            continue;
        if (tail)
            memmove(out + bytes, out, used);
        memcpy(tail ? out : out + used, piece, bytes);
        used += (uint32_t)bytes;
    }
    return used;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* On the reader's thread: the disk is read. */
static void find_stored(void *ctx)
{
    struct fg_explanation *e = ctx;

    fg_cache_nearest(e->cache, &e->parent, e->rest, e->n, &e->nearest);
}

/* What is stored or on the device behind the blocks that were found. */
static void begin_nearest(const struct fg_prefix_cache *r, const struct fg_explain_prompt *p,
                          struct fg_explanation *e)
{
    const int32_t *rest = p->tokens + (size_t)p->found * FG_BLOCK_TOKENS;

    e->parent = p->found ? p->prefix->keys[p->found - 1] : p->prefix->root;
    e->n = least(p->n_tokens - p->found * FG_BLOCK_TOKENS, FG_BLOCK_TOKENS);
    memcpy(e->rest, rest, e->n * sizeof *rest);
    if (r->vram)
        fg_device_tier_nearest(r->vram, &e->parent, e->rest, e->n, &e->nearest);
    if (!r->cache)
        return;
    e->cache = r->cache;
    e->call = (struct fg_cache_call){.run = find_stored, .ctx = e};
    fg_ticket_init(&e->call.ticket, r->wake);
    fg_cache_on_reader(r->cache, &e->call);
}

/* Fills where and how the prompt parts from `stored`, a block behind the found ones. */
static void tell(const struct fg_tokenizer *t, const struct fg_explain_prompt *p, uint32_t common,
                 const int32_t *stored, struct fg_cache_why *why)
{
    uint32_t at = p->found * FG_BLOCK_TOKENS + common, n = least(at, TEXT_TOKENS);

    why->diverged_at = at;
    why->before_bytes = text_of(t, p->tokens + at - n, n, true, why->before);
    why->prompt_bytes =
        text_of(t, p->tokens + at, least(p->n_tokens - at, TEXT_TOKENS), false, why->prompt);
    why->stored_bytes = text_of(t, stored + common, least(FG_BLOCK_TOKENS - common, TEXT_TOKENS),
                                false, why->stored);
}

/* A state behind one of the blocks that were found but not restored: what became of it. */
static enum fg_cache_reason missing_state(const struct fg_prefix_cache *r,
                                          const struct fg_explain_prompt *p)
{
    for (uint32_t b = p->found; r->cache && b > p->reused; b--) {
        switch (fg_cache_gone_state(r->cache, &p->prefix->keys[b - 1])) {
        case FG_GONE_EVICTED: return FG_REASON_EVICTED;
        case FG_GONE_CORRUPT: return FG_REASON_CORRUPT_DROPPED;
        case FG_GONE_FORMAT: return FG_REASON_FORMAT_CHANGED;
        case FG_GONE_UNKNOWN: break;
        }
    }
    return FG_REASON_STATE_MISSING;
}

/* Nothing begins like the prompt: is it there under another root of the same tenant? */
static enum fg_cache_reason other_root(const struct fg_prefix_cache *r,
                                       const struct fg_explain_prompt *p)
{
    enum { MOST = 256 };
    struct fg_cache_root *roots = r->cache ? malloc(MOST * sizeof *roots) : NULL;
    enum fg_cache_reason reason = FG_REASON_NEW_PREFIX;
    size_t n = roots ? fg_cache_roots(r->cache, roots, MOST) : 0;

    for (size_t i = 0; i < n && i < MOST; i++) {
        const struct fg_cache_root *root = &roots[i];
        struct fg_key first;

        if (memcmp(root->tenant, p->root->tenant, sizeof root->tenant) != 0 ||
            memcmp(&root->key, &p->root->key, sizeof root->key) == 0)
            continue;
        first = fg_key_next(&root->key, p->tokens);
        if (!fg_cache_has_block(r->cache, &first))
            continue;
        reason = memcmp(root->model, p->root->model, sizeof root->model) != 0
                     ? FG_REASON_MODEL_CHANGED
                     : FG_REASON_DEVICE_CHANGED;
        if (reason == FG_REASON_DEVICE_CHANGED)
            break; /* the nearer one */
    }
    free(roots);
    return reason;
}

static enum fg_cache_reason missing_block(const struct fg_prefix_cache *r,
                                          const struct fg_explain_prompt *p, bool parts)
{
    enum fg_cache_reason elsewhere = FG_REASON_NEW_PREFIX;
    enum fg_cache_gone gone =
        r->cache ? fg_cache_gone_block(r->cache, &p->prefix->keys[p->found]) : FG_GONE_UNKNOWN;

    if (gone == FG_GONE_CORRUPT)
        return FG_REASON_CORRUPT_DROPPED;
    if (gone == FG_GONE_EVICTED)
        return FG_REASON_EVICTED;
    if (gone == FG_GONE_FORMAT)
        return FG_REASON_FORMAT_CHANGED;
    /* The whole first block elsewhere says more than its beginning here. */
    if (p->found == 0)
        elsewhere = other_root(r, p);
    if (elsewhere != FG_REASON_NEW_PREFIX)
        return elsewhere;
    if (parts)
        return FG_REASON_DIVERGED;
    return p->found > 0 ? FG_REASON_EXTENDED : FG_REASON_NEW_PREFIX;
}

void fg_explain_begin(const struct fg_prefix_cache *r, const struct fg_explain_prompt *p,
                      struct fg_explanation *e)
{
    uint32_t possible = (p->n_tokens - 1) / FG_BLOCK_TOKENS;

    *e = (struct fg_explanation){.found = p->found};
    if (possible == 0) {
        e->reason = e->reason_parts = FG_REASON_TOO_SHORT;
        return;
    }
    if (p->reused >= possible)
        return; /* complete */
    if (p->corrupt)
        e->reason = FG_REASON_CORRUPT_DROPPED;
    else if (p->busy)
        e->reason = FG_REASON_STORE_BUSY;
    else if (p->reused < p->found)
        e->reason = missing_state(r, p);
    else
        e->reason = missing_block(r, p, false);
    e->reason_parts = e->reason;
    if (!p->corrupt && !p->busy && p->reused >= p->found)
        e->reason_parts = missing_block(r, p, true);
    if (p->found < possible)
        begin_nearest(r, p, e);
}

bool fg_explain_pending(struct fg_explanation *e)
{
    return e->cache && fg_ticket_pending(&e->call.ticket);
}

void fg_explain_wait(struct fg_explanation *e)
{
    if (!e->cache)
        return;
    fg_ticket_wait(&e->call.ticket, NULL);
    fg_ticket_finish(&e->call.ticket);
    e->cache = NULL;
}

void fg_explain_end(struct fg_explanation *e, const struct fg_tokenizer *t,
                    const struct fg_explain_prompt *p, struct fg_cache_why *why)
{
    bool parts;

    fg_explain_wait(e);
    *why = (struct fg_cache_why){.diverged_at = -1};
    parts = e->nearest.known && (e->found > 0 || e->nearest.common > 0);
    if (parts)
        tell(t, p, e->nearest.common, e->nearest.tokens, why);
    why->reason = parts ? e->reason_parts : e->reason;
}
