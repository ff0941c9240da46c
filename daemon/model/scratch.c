/* Sizes and creation of a step's activations and tables. */
#include "base/block_tokens.h"
#include "engine_state.h"
#include "model/blocks/block.h"
#include "ops/best.h"
#include "ops/quantize.h"
#include "ops/softmax_attention.h"

#include <string.h>

/* Partial results of softmax segments kept at most; longer decodes run unsegmented. */
enum { PARTIAL_BYTES = 32 << 20 };

enum { MAX_ITEMS = 32 };

struct item {
    struct fg_buffer **buffer;
    uint64_t floats;
    enum fg_buffer_use use;
    const char *what;
};

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What the blocks and the head need of a token's activations. */
static struct fg_activation_needs needs_of(const struct fg_hparams *hp)
{
    struct fg_activation_needs n = {.pairs = 1, .router = 1, .n_expert = 1};
    fg_need_operand(&n, 1, hp->n_embd);
    for (uint32_t i = 0; i < hp->n_blocks; i++)
        hp->blocks[i].kind->needs(&hp->blocks[i], &n);
    return n;
}

/* Cuts n_batch so that every activation fits one binding. */
static int fit_batch(const struct fg_activation_needs *n, const struct fg_hparams *hp,
                     struct fg_plan *p, const struct fg_device_info *d, struct fg_err *err)
{
    uint64_t widest = fg_round_up(hp->n_embd, 32);
    widest = max_u64(widest, fg_round_up(n->qkv, 32));
    widest = max_u64(widest, max_u64(n->system, max_u64(n->ff, n->ff_down)));
    if (p->opt.numerics == FG_NUMERICS_INT8)
        widest = max_u64(widest, n->quantized);
    uint64_t most = d->max_storage_range / (widest * 4) / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS;
    if (most < FG_BLOCK_TOKENS)
        return fg_fail(
            err, FG_EUNSUPPORTED,
            "activations of %u tokens (%llu floats each) exceed the largest binding of %s",
            FG_BLOCK_TOKENS, (unsigned long long)widest, d->name);
    if (p->opt.n_batch > most)
        p->opt.n_batch = (uint32_t)most;
    return 0;
}

/* Every buffer of s and its size. Returns how many there are. */
static size_t list(struct fg_scratch *s, const struct fg_hparams *hp, const struct fg_plan *p,
                   struct item out[MAX_ITEMS])
{
    struct fg_activation_needs n = needs_of(hp);
    struct fg_activations *a = &s->a;
    bool int8 = p->opt.numerics == FG_NUMERICS_INT8;
    uint64_t t = p->opt.n_batch, pairs = t * n.pairs, embd = t * fg_round_up(hp->n_embd, 32);
    uint64_t heads = t * fg_round_up(n.heads, 32), gate = t * fg_round_up(n.gate, 32);
    uint64_t partial = p->opt.n_seq * fg_attend_partial(&n.attend, p->max_pages);
    if (partial > PARTIAL_BYTES / 4)
        partial = PARTIAL_BYTES / 4;
    const struct item all[] = {
        {&a->x, embd, FG_BUFFER_DEVICE, "activations"},
        {&a->n, embd, FG_BUFFER_DEVICE, "activations"},
        {&a->qkv, t * fg_round_up(n.qkv, 32), FG_BUFFER_DEVICE, "queries, keys and values"},
        {&a->rotated, t * n.heads, FG_BUFFER_DEVICE, "rotated queries"},
        {&a->attn, heads, FG_BUFFER_DEVICE, "attention outputs"},
        {&a->gate, max_u64(gate, 4), FG_BUFFER_DEVICE, "gates"},
        {&a->gated, max_u64(gate, 4), FG_BUFFER_DEVICE, "gated outputs"},
        {&a->system, max_u64(t * n.system, 4), FG_BUFFER_DEVICE, "rows of chunks in each other"},
        {&a->strength, max_u64(t * n.strength, 4), FG_BUFFER_DEVICE, "rows of chunks"},
        {&a->ff_gate, t * n.ff, FG_BUFFER_DEVICE, "feed-forward activations"},
        {&a->ff_up, p->ungated || n.apart ? t * n.ff : 4, FG_BUFFER_DEVICE,
         "feed-forward activations"},
        {&a->ff_down, max_u64(t * n.ff_down, 4), FG_BUFFER_DEVICE, "expert outputs"},
        {&a->quantized.buffer, int8 ? t * n.quantized : 4, FG_BUFFER_DEVICE,
         "quantized activations"},
        {&a->router, t * fg_round_up(n.router, 32), FG_BUFFER_DEVICE, "router logits"},
        {&a->experts, pairs, FG_BUFFER_DEVICE, "expert choices"},
        {&a->expert_weights, pairs, FG_BUFFER_DEVICE, "expert weights"},
        {&a->pairs, pairs, FG_BUFFER_DEVICE, "expert groups"},
        {&a->pair_tiles, 4 * (pairs + n.n_expert), FG_BUFFER_DEVICE, "expert groups"},
        {&a->partial, max_u64(partial, 4), FG_BUFFER_DEVICE, "attention segments"},
        {&s->last, (uint64_t)FG_HEAD_ROWS * fg_round_up(hp->n_embd, 32), FG_BUFFER_DEVICE,
         "last hidden rows"},
        {&s->logits, (uint64_t)FG_HEAD_ROWS * hp->n_vocab, FG_BUFFER_DEVICE, "logits"},
        {&s->readback, (uint64_t)FG_HEAD_ROWS * hp->n_vocab, FG_BUFFER_HOST, "logits"},
        {&s->best[0], 2 * FG_HEAD_ROWS * fg_best_pairs(hp->n_vocab), FG_BUFFER_DEVICE,
         "candidates of tokens"},
        {&s->best[1], 2 * FG_HEAD_ROWS * fg_best_pairs(fg_best_pairs(hp->n_vocab)),
         FG_BUFFER_DEVICE, "candidates of tokens"},
        {&s->best_readback, 2 * FG_HEAD_ROWS * (FG_BEST_MOST + 1), FG_BUFFER_HOST, "best tokens"},
        {&s->tables.tokens, t * 4, FG_BUFFER_HOST, "step tables"},
        {&s->tables.rope, t * max_u32(hp->rope_dim, 2), FG_BUFFER_HOST, "rotary table"},
        {&s->tables.rope_local, hp->rope_freq_base_local > 0 ? t * hp->rope_dim : 4, FG_BUFFER_HOST,
         "rotary table"},
        {&s->tables.table, (uint64_t)p->opt.n_seq * p->max_pages, FG_BUFFER_HOST, "page tables"},
        {&s->tables.chunks, (t + t / FG_BLOCK_TOKENS + p->opt.n_seq) * 4, FG_BUFFER_HOST,
         "step tables"},
        {&s->tables.groups, t * 2, FG_BUFFER_HOST, "step tables"},
        {&s->tables.index, t + 64, FG_BUFFER_HOST, "step tables"},
    };
    _Static_assert(sizeof all / sizeof *all <= MAX_ITEMS, "MAX_ITEMS");
    memcpy(out, all, sizeof all);
    return sizeof all / sizeof *all;
}

int fg_scratch_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_device_info *d,
                    struct fg_err *err)
{
    struct fg_scratch s = {0};
    struct item all[MAX_ITEMS];
    size_t n;
    int rc;

    const struct fg_activation_needs needs = needs_of(hp);
    rc = fit_batch(&needs, hp, p, d, err);
    if (rc)
        return rc;
    n = list(&s, hp, p, all);
    p->scratch_bytes = p->scratch_host_bytes = 0;
    for (size_t i = 0; i < n; i++)
        if (all[i].use == FG_BUFFER_HOST)
            p->scratch_host_bytes += FG_STEP_SETS * all[i].floats * 4;
        else
            p->scratch_bytes += all[i].floats * 4;
    return 0;
}

static int make(struct fg_engine *e, const struct item *item, struct fg_err *err)
{
    struct fg_buffer **out = item->buffer;
    int rc = fg_buffer_create(e->device, item->floats * 4, item->use, item->what, out, err);
    if (rc)
        return rc;
    e->s.bytes += item->floats * 4;
    if (fg_buffer_map(*out))
        memset(fg_buffer_map(*out), 0, fg_buffer_bytes(*out));
    else
        fg_cmd_zero(e->ops.cmd, *out, 0, fg_buffer_bytes(*out));
    return 0;
}

int fg_scratch_init(struct fg_engine *e, struct fg_err *err)
{
    struct item all[MAX_ITEMS];
    size_t n;
    int rc = 0;

    e->s.ld_embd = fg_round_up(e->hp.n_embd, 32);
    e->s.tables.max_pages = e->max_pages;
    n = list(&e->s, &e->hp, &e->plan, all);
    fg_cmd_begin(e->ops.cmd);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = make(e, &all[i], err);
    int run = fg_cmd_run(e->ops.cmd, rc ? NULL : err);
    return rc ? rc : run;
}

void fg_scratch_finish(struct fg_scratch *s)
{
    const struct fg_activations *a = &s->a;
    const struct fg_step_tables *t = &s->tables;
    struct fg_buffer *const all[] = {a->x,
                                     a->n,
                                     a->qkv,
                                     a->rotated,
                                     a->attn,
                                     a->gate,
                                     a->gated,
                                     a->system,
                                     a->strength,
                                     a->ff_gate,
                                     a->ff_up,
                                     a->ff_down,
                                     a->router,
                                     a->experts,
                                     a->pairs,
                                     a->expert_weights,
                                     a->pair_tiles,
                                     a->partial,
                                     s->last,
                                     s->logits,
                                     a->quantized.buffer,
                                     s->readback,
                                     s->best[0],
                                     s->best[1],
                                     t->tokens,
                                     s->best_readback,
                                     t->rope,
                                     t->rope_local,
                                     t->table,
                                     t->chunks,
                                     t->groups,
                                     t->index};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fg_buffer_destroy(all[i]);
    memset(s, 0, sizeof *s);
}
