/* What a case records, and what it costs by its formula. */
#include "kernel_bench_priv.h"
#include "ops/lightning_attention.h"
#include "ops/moe.h"
#include "ops/norm.h"
#include "ops/softmax_attention.h"
#include "base/block_tokens.h"
#include "model/weights.h"

#include <stdlib.h>
#include <string.h>

/* One case under way. */
struct work {
    struct fg_kernel_bench *b;
    const struct fg_kernel_case *c;
    struct fg_matrix copies[FG_KERNEL_MAX_COPIES];
    uint32_t n_copies;
    struct fg_buffer *x, *y;
    struct fg_step_shape shape;
    struct fg_step_round round;
};

static struct fg_view rows_of(struct fg_buffer *b, const struct work *w, uint32_t k)
{
    return fg_view_of(b, fg_round_up(k, 32), w->c->n_tokens, k);
}

static struct fg_expert_groups groups_of(const struct work *w)
{
    const struct fg_kernel_bench *b = w->b;
    return (struct fg_expert_groups){.n_pairs = w->c->n_tokens * b->widths.n_used,
                                     .n_used = b->widths.n_used,
                                     .n_expert = b->widths.n_expert,
                                     .pairs = b->pairs,
                                     .pair_tiles = b->pair_tiles};
}

static void record_product(const struct work *w, uint32_t i)
{
    const struct fg_kernel_case *c = w->c;
    const struct fg_matrix *m = &w->copies[i % w->n_copies];

    fg_record_matmul(&w->b->ops,
                     &(struct fg_matmul){.m = m,
                                         .x.plain = rows_of(w->x, w, c->k),
                                         .y = fg_view_of(w->y, c->n_rows, c->n_tokens, c->n_rows)});
}

static void record_moe(const struct work *w, uint32_t i)
{
    const struct fg_kernel_case *c = w->c;
    struct fg_expert_groups g = groups_of(w);
    uint32_t ldx = fg_round_up(c->k, 32);

    fg_record_matmul_moe(
        &w->b->ops,
        &(struct fg_matmul_moe){.m = &w->copies[i % w->n_copies],
                                .x.plain = fg_view_of(w->x, ldx, g.n_pairs / c->x_div, c->k),
                                .y = fg_view_of(w->y, c->n_rows, g.n_pairs, c->n_rows),
                                .groups = &g,
                                .x_div = c->x_div});
}

static void record_softmax(const struct work *w, uint32_t i)
{
    struct fg_kernel_bench *b = w->b;
    const struct fg_heads *h = &b->widths.heads;

    fg_record_softmax_attention(
        &b->ops, &(struct fg_softmax_attention){.heads = h,
                                                .rotated = b->rotated,
                                                .kv = b->layers[i % FG_KERNEL_LAYERS].kv,
                                                .out = rows_of(b->attn, w, h->n_head * h->head_dim),
                                                .scale = 0.125f,
                                                .partial = b->partial,
                                                .tables = &b->tables,
                                                .shape = &w->shape});
}

static void record_lightning(const struct work *w, uint32_t i)
{
    struct fg_kernel_bench *b = w->b;
    const struct fg_kernel_layer *l = &b->layers[i % FG_KERNEL_LAYERS];
    uint32_t width = b->widths.lightning_heads * b->widths.lightning_dim;

    fg_record_lightning_attention(
        &b->ops, &(struct fg_lightning_attention){.n_head = b->widths.lightning_heads,
                                                  .head_dim = b->widths.lightning_dim,
                                                  .qkv = rows_of(b->qkv, w, 3 * width),
                                                  .rotated = b->rotated,
                                                  .state = l->state,
                                                  .k_rows = l->k_rows,
                                                  .v_rows = l->v_rows,
                                                  .decay = b->decay,
                                                  .out = rows_of(b->attn, w, width),
                                                  .tables = &b->tables,
                                                  .shape = &w->shape});
}

static void record_gate(const struct work *w)
{
    struct fg_kernel_bench *b = w->b;
    uint32_t width = b->widths.lightning_heads * b->widths.lightning_dim;

    fg_record_gate(&b->ops, &(struct fg_gate){.x = rows_of(b->attn, w, width),
                                              .gate = rows_of(b->gate, w, width),
                                              .y = rows_of(b->gated, w, width),
                                              .w = b->wide});
}

static void record_delta(const struct work *w, uint32_t i)
{
    struct fg_kernel_bench *b = w->b;
    const struct fg_kernel_layer *l = &b->layers[i % FG_KERNEL_LAYERS];
    const struct fg_delta_shape *s = &b->widths.delta;

    fg_record_delta_rule(
        &b->ops, &(struct fg_delta_rule){.shape = *s,
                                         .rows = rows_of(b->delta_rows, w, fg_delta_columns(s)),
                                         .taps = b->delta_taps,
                                         .decay = b->delta_decay,
                                         .bias = b->delta_decay,
                                         .state = l->delta_state,
                                         .tail = l->tail,
                                         .k_rows = l->delta_k,
                                         .u_rows = l->u_rows,
                                         .log_decay = l->log_decay,
                                         .q = b->delta_q,
                                         .v = b->delta_v,
                                         .system = b->system,
                                         .strength = b->strength,
                                         .out = rows_of(b->attn, w, s->n_head_v * s->head_dim),
                                         .tables = &b->tables,
                                         .step = &w->shape});
}

static void record_delta_gate(const struct work *w)
{
    struct fg_kernel_bench *b = w->b;
    const struct fg_delta_shape *s = &b->widths.delta;
    uint32_t width = s->n_head_v * s->head_dim;

    fg_record_delta_gate(
        &b->ops, &(struct fg_delta_gate){.shape = s,
                                         .x = rows_of(b->attn, w, width),
                                         .rows = rows_of(b->delta_rows, w, fg_delta_columns(s)),
                                         .y = rows_of(b->gated, w, width),
                                         .w = b->wide,
                                         .eps = 1e-6f});
}

static void record_norm(const struct work *w)
{
    struct fg_kernel_bench *b = w->b;

    fg_record_norm(&b->ops, &(struct fg_norm){.x = rows_of(b->x, w, b->widths.n_embd),
                                              .y = rows_of(b->n, w, b->widths.n_embd),
                                              .w = b->wide,
                                              .eps = 1e-5f});
}

static void record(void *ctx, uint32_t i)
{
    struct work *w = ctx;

    switch (w->c->kind) {
    case FG_KERNEL_MATMUL: record_product(w, i); break;
    case FG_KERNEL_MOE: record_moe(w, i); break;
    case FG_KERNEL_SOFTMAX: record_softmax(w, i); return; /* these end with a barrier */
    case FG_KERNEL_LIGHTNING: record_lightning(w, i); return;
    case FG_KERNEL_GATE: record_gate(w); return;
    case FG_KERNEL_DELTA: record_delta(w, i); return;
    case FG_KERNEL_DELTA_GATE: record_delta_gate(w); return;
    case FG_KERNEL_NORM: record_norm(w); break;
    }
    fg_cmd_barrier(w->b->cmd);
}

/* --- what a case needs --- */

static int make_copies(struct work *w, struct fg_err *err)
{
    const struct fg_kernel_case *c = w->c;
    uint64_t bytes = 0;
    int rc = 0;
    while (rc == 0 && w->n_copies < FG_KERNEL_MAX_COPIES &&
           (w->n_copies == 0 || bytes < w->b->opt.copies_bytes)) {
        struct fg_matrix *m = &w->copies[w->n_copies];
        rc =
            fg_matrix_blank(m, w->b->device,
                            &(struct fg_matrix_shape){c->type, c->n_rows, c->k, c->n_experts}, err);
        if (rc)
            break;
        w->n_copies++;
        bytes += m->bytes;
        for (uint32_t i = 0; rc == 0 && i < m->n_parts; i++)
            rc = fg_kernel_bench_fill(w->b, m->parts[i].buffer, err);
    }
    return rc;
}

/* Every expert in its turn, the pairs of a token side by side. */
static int choose_experts(struct work *w, struct fg_err *err)
{
    struct fg_kernel_bench *b = w->b;
    struct fg_expert_groups g = groups_of(w);
    struct fg_buffer *choices;
    int rc =
        fg_buffer_create(b->device, 4ull * g.n_pairs, FG_BUFFER_HOST, "choices", &choices, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < g.n_pairs; i++)
        ((uint32_t *)fg_buffer_map(choices))[i] = i % g.n_expert;
    fg_cmd_begin(b->cmd);
    fg_cmd_copy(b->cmd, choices, 0, b->experts, 0, 4ull * g.n_pairs);
    fg_cmd_barrier(b->cmd);
    fg_record_moe_group(&b->ops, b->experts, &g);
    rc = fg_cmd_run(b->cmd, err);
    fg_buffer_destroy(choices);
    return rc;
}

static int make_product(struct work *w, struct fg_err *err)
{
    const struct fg_kernel_case *c = w->c;
    uint64_t rows = c->n_tokens;
    int rc = make_copies(w, err);
    if (rc == 0 && c->kind == FG_KERNEL_MOE) {
        rows *= w->b->widths.n_used;
        rc = choose_experts(w, err);
    }
    if (rc == 0)
        rc = fg_buffer_create(w->b->device, rows * fg_round_up(c->k, 32) * 4, FG_BUFFER_DEVICE,
                              "activations", &w->x, err);
    if (rc == 0)
        rc = fg_buffer_create(w->b->device, rows * c->n_rows * 4, FG_BUFFER_DEVICE, "results",
                              &w->y, err);
    return rc ? rc : fg_kernel_bench_fill(w->b, w->x, err);
}

static int make(struct work *w, struct fg_err *err)
{
    switch (w->c->kind) {
    case FG_KERNEL_MATMUL:
    case FG_KERNEL_MOE: return make_product(w, err);
    case FG_KERNEL_SOFTMAX:
    case FG_KERNEL_LIGHTNING:
    case FG_KERNEL_DELTA:
        fg_kernel_bench_stand_at(w->b, w->c->depth, w->c->n_tokens, &w->round, &w->shape);
        break;
    case FG_KERNEL_NORM:
    case FG_KERNEL_GATE:
    case FG_KERNEL_DELTA_GATE: break;
    }
    return 0;
}

static void finish(struct work *w)
{
    for (uint32_t i = 0; i < w->n_copies; i++)
        fg_matrix_finish(&w->copies[i]);
    fg_buffer_destroy(w->x);
    fg_buffer_destroy(w->y);
}

/* --- what a case costs --- */

static void cost_of_product(const struct work *w, struct fg_kernel_time *t)
{
    const struct fg_kernel_case *c = w->c;
    uint32_t used = c->kind == FG_KERNEL_MOE ? w->b->widths.n_used : 1;
    double pairs = (double)c->n_tokens * used,
           touched = pairs < c->n_experts ? pairs : c->n_experts;
    t->bytes = (double)w->copies[0].bytes * touched / c->n_experts +
               4 * (pairs / (used == c->x_div ? used : 1) * c->k + pairs * c->n_rows);
    t->flops = 2 * pairs * c->n_rows * c->k;
    t->texel = (c->n_tokens == 1 && used == 1 ? &w->b->ops.one : &w->b->ops.many)->texel;
}

/* Keys before and up to each token, summed over the tokens. */
static double keys_seen(uint32_t depth, uint32_t n)
{
    return (double)depth * n + (double)n * (n + 1) / 2;
}

static double softmax_width(const struct fg_kernel_widths *w)
{
    return (double)w->heads.n_head * w->heads.head_dim;
}

static void cost_of_delta(const struct work *w, struct fg_kernel_time *t)
{
    const struct fg_delta_shape *s = &w->b->widths.delta;
    const struct fg_kernel_case *c = w->c;
    double n = c->n_tokens, d = s->head_dim, width = s->n_head_v * d;
    uint32_t first = c->depth % FG_BLOCK_TOKENS;
    double folds = (first + c->n_tokens) / FG_BLOCK_TOKENS;

    /* The products' rows in, q, k and v, u and the output out; the state as for lightning. */
    t->bytes = (double)fg_kernel_delta_state_bytes(w->b) * (1 + 2 * folds) +
               4 * n * (fg_delta_columns(s) + fg_delta_channels(s) + 2 * width);
    /* Both k and q by the state and by the rows before, u and v by those. */
    t->flops = 4 * width * d * n + 8 * width * keys_seen(first, c->n_tokens) +
               2 * width * d * FG_BLOCK_TOKENS * folds + 2 * n * s->taps * fg_delta_channels(s);
    t->texel = fg_lightning_by_lanes(&w->b->ops);
}

static void cost(const struct work *w, struct fg_kernel_time *t)
{
    const struct fg_kernel_bench *b = w->b;
    const struct fg_kernel_widths *v = &b->widths;
    const struct fg_kernel_case *c = w->c;
    double n = c->n_tokens, d = v->lightning_dim, width = v->lightning_heads * d;
    double pages = (c->depth + c->n_tokens + FG_BLOCK_TOKENS - 1) / FG_BLOCK_TOKENS, folds;

    switch (c->kind) {
    case FG_KERNEL_MATMUL:
    case FG_KERNEL_MOE: cost_of_product(w, t); break;
    case FG_KERNEL_SOFTMAX:
        t->bytes = pages * (double)fg_kernel_page_bytes(b) + 2 * n * softmax_width(v) * 4;
        t->flops = 4 * softmax_width(v) * keys_seen(c->depth, c->n_tokens);
        t->texel = b->ops.attend_spread != 0;
        break;
    case FG_KERNEL_LIGHTNING:
        /* q, k, v in, q again rotated, output out; the state read, and written where it is folded.
         */
        folds = (c->depth % FG_BLOCK_TOKENS + c->n_tokens) / FG_BLOCK_TOKENS;
        t->bytes = (double)fg_kernel_state_bytes(b) * (1 + 2 * folds) + 4 * n * width * 7;
        t->flops = 2 * width * d * n +
                   4 * width * keys_seen(c->depth % FG_BLOCK_TOKENS, c->n_tokens) +
                   2 * width * d * FG_BLOCK_TOKENS * folds;
        t->texel = fg_lightning_by_lanes(&b->ops);
        break;
    case FG_KERNEL_NORM:
        t->bytes = (2 * n + 1) * v->n_embd * 4;
        t->flops = 4 * n * v->n_embd;
        break;
    case FG_KERNEL_GATE:
        t->bytes = (3 * n + 1) * width * 4;
        t->flops = 5 * n * width;
        break;
    case FG_KERNEL_DELTA: cost_of_delta(w, t); break;
    case FG_KERNEL_DELTA_GATE:
        width = v->delta.n_head_v * v->delta.head_dim;
        t->bytes = 3 * n * width * 4;
        t->flops = 5 * n * width;
        break;
    }
}

void fg_kernel_bench_name(const struct fg_kernel_bench *b, uint32_t i, struct fg_kernel_time *out)
{
    static const char *const names[] = {"matmul",     "matmul_moe", "softmax attention",
                                        "lightning",  "rmsnorm",    "lightning gate",
                                        "delta rule", "delta gate"};
    const struct fg_kernel_case *c = &b->cases[i];
    const struct fg_kernel_widths *v = &b->widths;
    size_t n = sizeof out->shape;
    *out = (struct fg_kernel_time){0};
    snprintf(out->kernel, sizeof out->kernel, "%s%s%s", names[c->kind], c->name[0] ? " " : "",
             c->name);
    switch (c->kind) {
    case FG_KERNEL_MATMUL:
        snprintf(out->shape, n, "%s %ux%u, %u", fg_dtype_name(c->type), c->n_rows, c->k,
                 c->n_tokens);
        break;
    case FG_KERNEL_MOE:
        snprintf(out->shape, n, "%s %ux%ux%u top %u, %u", fg_dtype_name(c->type), c->n_experts,
                 c->n_rows, c->k, v->n_used, c->n_tokens);
        break;
    case FG_KERNEL_SOFTMAX:
        snprintf(out->shape, n, "%u/%u heads x %u, %u at %u", v->heads.n_head, v->heads.n_head_kv,
                 v->heads.head_dim, c->n_tokens, c->depth);
        break;
    case FG_KERNEL_LIGHTNING:
        snprintf(out->shape, n, "%u heads x %u, %u at %u", v->lightning_heads, v->lightning_dim,
                 c->n_tokens, c->depth);
        break;
    case FG_KERNEL_NORM: snprintf(out->shape, n, "%u, %u", v->n_embd, c->n_tokens); break;
    case FG_KERNEL_GATE:
        snprintf(out->shape, n, "%u, %u", v->lightning_heads * v->lightning_dim, c->n_tokens);
        break;
    case FG_KERNEL_DELTA:
        snprintf(out->shape, n, "%u/%u heads x %u, %u at %u", v->delta.n_head_v, v->delta.n_head_k,
                 v->delta.head_dim, c->n_tokens, c->depth);
        break;
    case FG_KERNEL_DELTA_GATE:
        snprintf(out->shape, n, "%u, %u", v->delta.n_head_v * v->delta.head_dim, c->n_tokens);
        break;
    }
}

int fg_kernel_bench_run(struct fg_kernel_bench *b, uint32_t i, struct fg_kernel_time *out,
                        struct fg_err *err)
{
    struct work *w = calloc(1, sizeof *w);
    int rc;
    fg_kernel_bench_name(b, i, out);
    if (!w)
        return fg_fail(err, FG_ENOMEM, "out of memory for a case");
    w->b = b;
    w->c = &b->cases[i];
    rc = make(w, err);
    if (rc == 0)
        rc = fg_kernel_bench_time(b, record, w, &out->seconds, err);
    if (rc == 0)
        cost(w, out);
    finish(w);
    free(w);
    return rc;
}
