#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "text/repair/repair.h"

enum { TEXT_TOKENS = 12, LINE_TOKENS = 96 /* of a line, before and behind where prompts part */ };

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

/* A line in which prompts part. */
struct parting {
    struct fg_buffer text;
    size_t at; /* bytes before */
};

static const char *line_end(const char *piece, size_t bytes)
{
    return bytes ? memchr(piece, '\n', bytes) : NULL;
}

/* Appends tokens up to the end of a line. */
static void add_line(const struct fg_tokenizer *t, const int32_t *tokens, uint32_t n,
                     struct fg_buffer *out)
{
    const char *end = NULL;

    for (uint32_t i = 0; i < n && !end && !fg_tokenizer_is_control(t, tokens[i]); i++) {
        size_t bytes;
        const char *piece = fg_tokenizer_piece(t, tokens[i], &bytes);

        end = line_end(piece, bytes);
        fg_buffer_add(out, piece, end ? (size_t)(end - piece) : bytes);
    }
}

/* The beginning of the line that token `at` is in; false where it is longer than is looked at. */
static bool begin_line(const struct fg_tokenizer *t, const struct fg_explain_prompt *p, uint32_t at,
                       struct parting *line)
{
    uint32_t from = at;
    const char *end;

    while (from > 0 && at - from < LINE_TOKENS &&
           !fg_tokenizer_is_control(t, p->tokens[from - 1])) {
        size_t bytes;
        const char *piece = fg_tokenizer_piece(t, p->tokens[--from], &bytes);

        if (line_end(piece, bytes))
            break;
    }
    for (uint32_t i = from; i < at; i++) {
        size_t bytes;
        const char *piece = fg_tokenizer_piece(t, p->tokens[i], &bytes);

        fg_buffer_add(&line->text, piece, bytes);
    }
    if (line->text.failed || at - from >= LINE_TOKENS)
        return false;
    end = line->text.n ? memrchr(line->text.p, '\n', line->text.n) : NULL;
    if (end) {
        size_t skip = (size_t)(end - line->text.p) + 1;

        memmove(line->text.p, line->text.p + skip, line->text.n - skip);
        line->text.n -= skip;
    }
    line->at = line->text.n;
    return true;
}

static bool suggest_for(const struct fg_tokenizer *t, const int32_t *rest, uint32_t n,
                        enum fg_repair_where where, struct parting *line, struct fg_buffer *rule)
{
    line->text.n = line->at;
    fg_buffer_clear(rule);
    add_line(t, rest, least(n, LINE_TOKENS), &line->text);
    return !line->text.failed && line->text.p &&
           fg_repair_suggest((struct fg_str){line->text.p, line->text.n}, line->at, where, rule) &&
           !rule->failed && rule->n <= FG_WHY_RULE;
}

/* A rule for the line in which the prompt parts from `stored`, n tokens, where it is one that
 * changes with time in both. */
static void suggest(const struct fg_tokenizer *t, const struct fg_explain_prompt *p,
                    const int32_t *stored, uint32_t n, struct fg_cache_why *why)
{
    uint32_t at = (uint32_t)why->diverged_at;
    enum fg_repair_where where = at < p->head_end ? FG_REPAIR_SYSTEM : FG_REPAIR_FIRST_MESSAGE;
    struct parting line = {.at = 0};
    struct fg_buffer rule = {0}, other = {0};

    if (at < p->first_end && begin_line(t, p, at, &line) &&
        suggest_for(t, stored, n, where, &line, &other) &&
        suggest_for(t, p->tokens + at, p->n_tokens - at, where, &line, &rule) &&
        rule.n == other.n && memcmp(rule.p, other.p, rule.n) == 0) {
        memcpy(why->rule, rule.p, rule.n);
        why->rule_bytes = (uint32_t)rule.n;
    }
    fg_buffer_finish(&line.text);
    fg_buffer_finish(&rule);
    fg_buffer_finish(&other);
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
    suggest(t, p, stored + common, FG_BLOCK_TOKENS - common, why);
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
