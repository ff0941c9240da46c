#include "softmax_attention.h"

#include <stdio.h>

#include "shaders/softmax_attention/params.h"

enum {
    TOKENS = 4, /* of one sequence that share keys in a workgroup */
    TOKENS_SUBGROUP = 2,
};

/* The largest divisor of the query heads of a kv head with at most `most` rows of `tokens` tokens.
 */
static uint32_t heads_a_group(const struct fg_heads *h, uint32_t tokens, uint32_t most)
{
    uint32_t per_kv = h->n_head / h->n_head_kv, best = 1;
    for (uint32_t n = 1; n <= per_kv; n++)
        if (per_kv % n == 0 && n * tokens <= most)
            best = n;
    return best;
}

uint32_t fg_attend_tokens(const struct fg_ops *o)
{
    return o->attend_spread ? TOKENS_SUBGROUP : TOKENS;
}

uint64_t fg_attend_partial(const struct fg_heads *h, uint32_t max_pages)
{
    uint64_t segments = max_pages / FG_C_SEGMENT_TILES + 1;
    return h->n_head * segments * (h->head_dim + 2);
}

/* variant: tokens, lanes of the subgroup kernel or 0, and whether pages are of f16. */
static void write_name(const struct fg_kernel_key *k, char name[FG_KERNEL_NAME])
{
    uint32_t tokens = k->variant & 255, spread = k->variant >> 8 & 255;
    const char *type = k->variant >> 16 ? "f16" : "f32";
    if (spread)
        snprintf(name, FG_KERNEL_NAME, "softmax_attend.%s.t%u.sg%u.tex", type, tokens, spread);
    else
        snprintf(name, FG_KERNEL_NAME, "softmax_attend.%s", type);
}

/* The kernel for groups of `tokens` tokens; *heads: query heads of a workgroup. */
static struct fg_kernel_key kernel_for(const struct fg_ops *o, const struct fg_heads *h,
                                       uint32_t tokens, uint32_t *heads)
{
    /* Queries and scores of the rows lie in the 16 KiB of shared memory that every device has. */
    uint32_t rows = 16000 / 4 / (h->head_dim + 68), most = rows < 12 ? rows : 12;
    if (o->attend_spread)
        most = h->head_dim > 64 ? 4 : 6;
    *heads = heads_a_group(h, tokens, most);
    return (struct fg_kernel_key){.base = "softmax_attend",
                                  .write_name = write_name,
                                  .variant = tokens | o->attend_spread << 8 |
                                             (uint32_t)(o->kv_type == FG_KV_F16) << 16,
                                  .spec = {tokens, *heads, h->head_dim, 0, o->native_f16}};
}

static uint32_t window_of(const struct fg_softmax_attention *a)
{
    return a->window && a->window < FG_C_NO_WINDOW ? a->window : FG_C_NO_WINDOW;
}

/* Without sinks anything may stand for them. */
static struct fg_buffer *sinks_of(const struct fg_softmax_attention *a)
{
    return a->sinks ? a->sinks : a->tables->tokens;
}

/* Of the step's groups. */
struct range {
    uint32_t first, n, tokens; /* tokens of each */
    uint32_t n_segments;       /* 0: not cut */
};

static void record_groups(struct fg_ops *o, const struct fg_softmax_attention *a, struct range r)
{
    const struct fg_heads *h = a->heads;
    uint32_t heads;
    struct fg_kernel_key key = kernel_for(o, h, r.tokens, &heads);
    struct fg_attend_push push = {.n_tokens = r.n,
                                  .n_head = h->n_head,
                                  .n_head_kv = h->n_head_kv,
                                  .head_dim = h->head_dim,
                                  .ldq = h->n_head * h->head_dim,
                                  .ldo = a->out.stride,
                                  .max_pages = a->tables->max_pages,
                                  .n_segments = r.n_segments,
                                  .group0 = r.first,
                                  .scale = a->scale,
                                  .window = window_of(a),
                                  .sinks = a->sinks != NULL};
    const struct fg_bind binds[] = {{a->rotated, 0, 0},       {a->kv, 0, 0},
                                    {a->out.buffer, 0, 0},    {a->tables->tokens, 0, 0},
                                    {a->tables->table, 0, 0}, {a->tables->groups, 0, 0},
                                    {a->partial, 0, 0},       {sinks_of(a), 0, 0}};
    fg_ops_dispatch(
        o, &key,
        &(struct fg_ops_call){.binds = binds,
                              .n_binds = 8,
                              .push = &push,
                              .push_bytes = sizeof push,
                              .groups = {h->n_head / heads, r.n, r.n_segments ? r.n_segments : 1}});
}

/* Merges the segments of n tokens. */
static void record_merge(struct fg_ops *o, const struct fg_softmax_attention *a, uint32_t n,
                         uint32_t n_segments)
{
    const struct fg_heads *h = a->heads;
    const struct fg_kernel_key key = {.base = "softmax_combine"};
    struct fg_merge_push push = {.n_tokens = n,
                                 .n_head = h->n_head,
                                 .head_dim = h->head_dim,
                                 .ldo = a->out.stride,
                                 .n_segments = n_segments,
                                 .window = window_of(a),
                                 .sinks = a->sinks != NULL};
    const struct fg_bind binds[] = {
        {a->partial, 0, 0}, {a->tables->tokens, 0, 0}, {a->out.buffer, 0, 0}, {sinks_of(a), 0, 0}};
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 4,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(h->head_dim + 63) / 64, h->n_head, n}});
}

void fg_record_softmax_attention(struct fg_ops *o, const struct fg_softmax_attention *a)
{
    const struct fg_heads *h = a->heads;
    const struct fg_step_shape *s = a->shape;

    if (s->n_single) {
        uint32_t segments = (s->single_tiles + FG_C_SEGMENT_TILES - 1) / FG_C_SEGMENT_TILES;
        uint64_t partial = 4ull * s->n_single * h->n_head * segments * (h->head_dim + 2);
        if (segments == 1 || partial > fg_buffer_bytes(a->partial))
            segments = 0;
        record_groups(o, a, (struct range){0, s->n_single, 1, segments});
        if (segments) {
            fg_cmd_barrier(o->cmd);
            record_merge(o, a, s->n_single, segments);
        }
    }
    record_groups(o, a, (struct range){s->n_single, s->n_groups, fg_attend_tokens(o), 0});
    fg_cmd_barrier(o->cmd);
}
