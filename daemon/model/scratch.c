/* Sizes and creation of a step's activations and tables. */
#include "engine_priv.h"

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

static void strides(struct fg_scratch *s, const struct fg_hparams *hp, const struct fg_plan *p)
{
    uint32_t heads = hp->n_head * hp->head_dim;
    s->ld_embd = fg_round_up(hp->n_embd, 32);
    s->ld_heads = fg_round_up(heads, 32);
    uint32_t softmax = heads + 2 * hp->n_head_kv * hp->head_dim;
    s->ld_qkv = fg_round_up(p->n_lightning ? 3 * heads : softmax, 32);
    s->ld_ff = fg_round_up(hp->n_ff, 32);
    s->ld_router = fg_round_up(max_u32(hp->n_expert, 1), 32);
}

/* Floats of the activations of a token as quantized. */
static uint64_t quantized_width(const struct fg_scratch *s, const struct fg_hparams *hp,
                                const struct fg_plan *p)
{
    uint64_t embd = fg_quantized_row(s->ld_embd), heads = fg_quantized_row(s->ld_heads);
    uint64_t ff = (uint64_t)fg_quantized_row(s->ld_ff) * max_u32(hp->n_expert_used, 1);
    if (p->opt.numerics != FG_NUMERICS_INT8)
        return 0;
    if (heads > embd)
        embd = heads;
    return ff > embd ? ff : embd;
}

/* Cuts n_batch so that every activation fits one binding. */
static int fit_batch(const struct fg_scratch *s, const struct fg_hparams *hp, struct fg_plan *p,
                     const struct fg_device_info *d, struct fg_err *err)
{
    uint32_t used = max_u32(hp->n_expert_used, 1);
    uint64_t widest = (uint64_t)s->ld_embd * used;
    if (s->ld_qkv > widest)
        widest = s->ld_qkv;
    if ((uint64_t)s->ld_ff * used > widest)
        widest = (uint64_t)s->ld_ff * used;
    if (quantized_width(s, hp, p) > widest)
        widest = quantized_width(s, hp, p);
    uint64_t most = d->max_storage_range / (widest * 4) / FG_CHUNK * FG_CHUNK;
    if (most < FG_CHUNK)
        return fg_fail(
            err, FG_EUNSUPPORTED,
            "activations of %u tokens (%llu floats each) exceed the largest binding of %s",
            FG_CHUNK, (unsigned long long)widest, d->name);
    if (p->opt.n_batch > most)
        p->opt.n_batch = (uint32_t)most;
    return 0;
}

/* Pairs that a pass of sample/best.comp makes of n elements, at most. */
static uint64_t best_pairs(uint64_t n)
{
    return (n + FG_C_BEST_SEGMENT - 1) / FG_C_BEST_SEGMENT * (FG_BEST_MOST + 1);
}

/* Every buffer of s, whose strides are set, and its size. Returns how many there are. */
static size_t list(struct fg_scratch *s, const struct fg_hparams *hp, const struct fg_plan *p,
                   struct item out[MAX_ITEMS])
{
    uint64_t t = p->opt.n_batch, used = max_u32(hp->n_expert_used, 1);
    uint64_t pairs = t * used;
    uint64_t segments = p->max_pages / FG_C_SEGMENT_TILES + 1;
    uint64_t partial = (uint64_t)p->opt.n_seq * hp->n_head * segments * (hp->head_dim + 2);
    if (partial > PARTIAL_BYTES / 4)
        partial = PARTIAL_BYTES / 4;
    const struct item all[] = {
        {&s->x, t * s->ld_embd, FG_BUFFER_DEVICE, "activations"},
        {&s->n, t * s->ld_embd, FG_BUFFER_DEVICE, "activations"},
        {&s->qkv, t * s->ld_qkv, FG_BUFFER_DEVICE, "queries, keys and values"},
        {&s->rotated, t * hp->n_head * hp->head_dim, FG_BUFFER_DEVICE, "rotated queries"},
        {&s->attn, t * s->ld_heads, FG_BUFFER_DEVICE, "attention outputs"},
        {&s->gate, p->n_lightning ? t * s->ld_heads : 4, FG_BUFFER_DEVICE, "gates"},
        {&s->gated, p->n_lightning ? t * s->ld_heads : 4, FG_BUFFER_DEVICE, "gated outputs"},
        {&s->ff_gate, pairs * s->ld_ff, FG_BUFFER_DEVICE, "feed-forward activations"},
        {&s->ff_up, p->ungated ? pairs * s->ld_ff : 4, FG_BUFFER_DEVICE,
         "feed-forward activations"},
        {&s->ff_down, hp->n_expert ? pairs * s->ld_embd : 4, FG_BUFFER_DEVICE, "expert outputs"},
        {&s->quantized, max_u64(4, t * quantized_width(s, hp, p)), FG_BUFFER_DEVICE,
         "quantized activations"},
        {&s->router, t * s->ld_router, FG_BUFFER_DEVICE, "router logits"},
        {&s->experts, pairs, FG_BUFFER_DEVICE, "expert choices"},
        {&s->expert_weights, pairs, FG_BUFFER_DEVICE, "expert weights"},
        {&s->pairs, pairs, FG_BUFFER_DEVICE, "expert groups"},
        {&s->pair_tiles, 4 * (pairs + max_u32(hp->n_expert, 1)), FG_BUFFER_DEVICE, "expert groups"},
        {&s->partial, p->n_softmax ? partial : 4, FG_BUFFER_DEVICE, "attention segments"},
        {&s->last, (uint64_t)FG_HEAD_ROWS * s->ld_embd, FG_BUFFER_DEVICE, "last hidden rows"},
        {&s->logits, (uint64_t)FG_HEAD_ROWS * hp->n_vocab, FG_BUFFER_DEVICE, "logits"},
        {&s->readback, (uint64_t)FG_HEAD_ROWS * hp->n_vocab, FG_BUFFER_HOST, "logits"},
        {&s->best[0], 2 * FG_HEAD_ROWS * best_pairs(hp->n_vocab), FG_BUFFER_DEVICE,
         "candidates of tokens"},
        {&s->best[1], 2 * FG_HEAD_ROWS * best_pairs(best_pairs(hp->n_vocab)), FG_BUFFER_DEVICE,
         "candidates of tokens"},
        {&s->best_readback, 2 * FG_HEAD_ROWS * (FG_BEST_MOST + 1), FG_BUFFER_HOST, "best tokens"},
        {&s->tokens, t * 4, FG_BUFFER_HOST, "step tables"},
        {&s->rope, t * max_u32(hp->rope_dim, 2), FG_BUFFER_HOST, "rotary table"},
        {&s->table, (uint64_t)p->opt.n_seq * p->max_pages, FG_BUFFER_HOST, "page tables"},
        {&s->chunks, (t + t / FG_CHUNK + p->opt.n_seq) * 4, FG_BUFFER_HOST, "step tables"},
        {&s->groups, t * 2, FG_BUFFER_HOST, "step tables"},
        {&s->index, t + 64, FG_BUFFER_HOST, "step tables"},
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

    strides(&s, hp, p);
    rc = fit_batch(&s, hp, p, d, err);
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
        fg_cmd_zero(e->cmd, *out, 0, fg_buffer_bytes(*out));
    return 0;
}

int fg_scratch_init(struct fg_engine *e, struct fg_err *err)
{
    struct item all[MAX_ITEMS];
    size_t n;
    int rc = 0;

    strides(&e->s, &e->hp, &e->plan);
    n = list(&e->s, &e->hp, &e->plan, all);
    fg_cmd_begin(e->cmd);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = make(e, &all[i], err);
    int run = fg_cmd_run(e->cmd, rc ? NULL : err);
    return rc ? rc : run;
}

void fg_scratch_finish(struct fg_scratch *s)
{
    struct fg_buffer *const all[] = {s->x,
                                     s->n,
                                     s->qkv,
                                     s->rotated,
                                     s->attn,
                                     s->gate,
                                     s->gated,
                                     s->ff_gate,
                                     s->ff_up,
                                     s->ff_down,
                                     s->router,
                                     s->experts,
                                     s->expert_weights,
                                     s->pairs,
                                     s->pair_tiles,
                                     s->partial,
                                     s->last,
                                     s->logits,
                                     s->readback,
                                     s->tokens,
                                     s->rope,
                                     s->table,
                                     s->chunks,
                                     s->groups,
                                     s->index,
                                     s->quantized,
                                     s->best[0],
                                     s->best[1],
                                     s->best_readback};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fg_buffer_destroy(all[i]);
    memset(s, 0, sizeof *s);
}
