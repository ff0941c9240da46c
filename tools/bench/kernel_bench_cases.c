/* What a case records, and what it costs by its formula. */
#include "kernel_bench_priv.h"
#include "ops/lightning_attention.h"
#include "ops/moe.h"
#include "ops/norm.h"

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
    struct fg_step_round rounds[FG_STEP_ROUNDS];
};

static const struct fg_layer *layer_at(const struct work *w, bool recurrent, uint32_t i)
{
    const struct fg_kernel_bench *b = w->b;
    return &b->engine->layers[b->layers[recurrent][i % b->n_kinds[recurrent]]];
}

static void record(void *ctx, uint32_t i)
{
    struct work *w = ctx;
    struct fg_engine *e = w->b->engine;
    const struct fg_kernel_case *c = w->c;
    const struct fg_matrix *m = w->n_copies ? &w->copies[i % w->n_copies] : NULL;
    uint32_t ldx = fg_round_up(c->k, 32), pairs = c->n_tokens * e->hp.n_expert_used;
    struct fg_expert_groups groups = fg_step_groups(e, pairs);
    struct fg_layer gated;

    switch (c->kind) {
    case FG_KERNEL_MATMUL:
        fg_record_matmul(
            &e->ops, &(struct fg_matmul){.m = m,
                                         .x.plain = fg_view_of(w->x, ldx, c->n_tokens, c->k),
                                         .y = fg_view_of(w->y, c->n_rows, c->n_tokens, c->n_rows)});
        fg_cmd_barrier(e->ops.cmd);
        break;
    case FG_KERNEL_MOE:
        fg_record_matmul_moe(&e->ops, &(struct fg_matmul_moe){
                                          .m = m,
                                          .x.plain = fg_view_of(w->x, ldx, pairs / c->x_div, c->k),
                                          .y = fg_view_of(w->y, c->n_rows, pairs, c->n_rows),
                                          .groups = &groups,
                                          .x_div = c->x_div});
        fg_cmd_barrier(e->ops.cmd);
        break;
    case FG_KERNEL_SOFTMAX: fg_record_attend(e, layer_at(w, false, i), &w->shape); break;
    case FG_KERNEL_LIGHTNING: fg_record_lightning(e, layer_at(w, true, i), &w->shape); break;
    case FG_KERNEL_NORM:
        fg_record_norm(
            &e->ops,
            &(struct fg_norm){.x = fg_view_of(e->s.x, e->s.ld_embd, c->n_tokens, e->hp.n_embd),
                              .y = fg_view_of(e->s.n, e->s.ld_embd, c->n_tokens, e->hp.n_embd),
                              .w = w->b->norm,
                              .eps = e->hp.norm_eps});
        fg_cmd_barrier(e->ops.cmd);
        break;
    case FG_KERNEL_GATE:
        gated = *layer_at(w, true, i);
        gated.attn_norm_2 = w->b->norm;
        fg_layer_gate(e, &gated, c->n_tokens);
        break;
    }
}

/* --- what a case needs --- */

/* The sequence as if it had `depth` tokens; its pages hold whatever is in them. */
static int stand_at(struct work *w, struct fg_err *err)
{
    struct fg_kernel_bench *b = w->b;
    int32_t tokens[FG_CHUNK] = {0};
    struct fg_step_piece piece = {b->seq, tokens, w->c->n_tokens, 0, NULL, 0, NULL};
    uint32_t row_of[1];
    int rc = fg_seq_reserve(b->seq, w->c->depth + w->c->n_tokens, err);
    if (rc)
        return rc;
    b->seq->length = w->c->depth;
    fg_step_fill(b->engine, &piece, 1, row_of, w->rounds, &w->shape);
    b->seq->length = 0;
    return 0;
}

static int make_copies(struct work *w, struct fg_err *err)
{
    const struct fg_kernel_case *c = w->c;
    uint64_t bytes = 0;
    int rc = 0;
    while (rc == 0 && w->n_copies < FG_KERNEL_MAX_COPIES &&
           (w->n_copies == 0 || bytes < w->b->opt.copies_bytes)) {
        struct fg_matrix *m = &w->copies[w->n_copies];
        rc = fg_matrix_blank(m, w->b->device, c->type, c->n_rows, c->k, c->n_experts, err);
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
    struct fg_engine *e = w->b->engine;
    uint32_t n = w->c->n_tokens * e->hp.n_expert_used;
    struct fg_buffer *choices;
    int rc = fg_buffer_create(w->b->device, 4ull * n, FG_BUFFER_HOST, "choices", &choices, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        ((uint32_t *)fg_buffer_map(choices))[i] = i % e->hp.n_expert;
    fg_cmd_begin(e->ops.cmd);
    fg_cmd_copy(e->ops.cmd, choices, 0, e->s.experts, 0, 4ull * n);
    fg_cmd_barrier(e->ops.cmd);
    struct fg_expert_groups groups = fg_step_groups(e, n);
    fg_record_moe_group(&e->ops, e->s.experts, &groups);
    rc = fg_cmd_run(e->ops.cmd, err);
    fg_buffer_destroy(choices);
    return rc;
}

static int make_product(struct work *w, struct fg_err *err)
{
    const struct fg_kernel_case *c = w->c;
    uint64_t rows = c->n_tokens;
    int rc = make_copies(w, err);
    if (rc == 0 && c->kind == FG_KERNEL_MOE) {
        rows *= w->b->engine->hp.n_expert_used;
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
    case FG_KERNEL_LIGHTNING: return stand_at(w, err);
    case FG_KERNEL_NORM:
    case FG_KERNEL_GATE: break;
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
    const struct fg_hparams *hp = &w->b->engine->hp;
    uint32_t used = c->kind == FG_KERNEL_MOE ? hp->n_expert_used : 1;
    double pairs = (double)c->n_tokens * used,
           touched = pairs < c->n_experts ? pairs : c->n_experts;
    t->bytes = (double)w->copies[0].bytes * touched / c->n_experts +
               4 * (pairs / (used == c->x_div ? used : 1) * c->k + pairs * c->n_rows);
    t->flops = 2 * pairs * c->n_rows * c->k;
    t->texel =
        (c->n_tokens == 1 && used == 1 ? &w->b->engine->ops.one : &w->b->engine->ops.many)->texel;
}

/* Keys before and up to each token, summed over the tokens. */
static double keys_seen(uint32_t depth, uint32_t n)
{
    return (double)depth * n + (double)n * (n + 1) / 2;
}

static void cost(const struct work *w, struct fg_kernel_time *t)
{
    const struct fg_engine *e = w->b->engine;
    const struct fg_kernel_case *c = w->c;
    double n = c->n_tokens, heads = e->hp.n_head, d = e->hp.head_dim, width = heads * d;
    double pages = (c->depth + c->n_tokens + FG_CHUNK - 1) / FG_CHUNK, folds;

    switch (c->kind) {
    case FG_KERNEL_MATMUL:
    case FG_KERNEL_MOE: cost_of_product(w, t); break;
    case FG_KERNEL_SOFTMAX:
        t->bytes = pages * (double)e->page_layer_bytes + 2 * n * width * 4;
        t->flops = 4 * width * keys_seen(c->depth, c->n_tokens);
        t->texel = e->ops.attend_spread != 0;
        break;
    case FG_KERNEL_LIGHTNING:
        /* q, k, v in, q again rotated, output out; the state read, and written where it is folded.
         */
        folds = (c->depth % FG_CHUNK + c->n_tokens) / FG_CHUNK;
        t->bytes = (double)e->state_layer_bytes * (1 + 2 * folds) + 4 * n * width * 7;
        t->flops = 2 * width * d * n + 4 * width * keys_seen(c->depth % FG_CHUNK, c->n_tokens) +
                   2 * width * d * FG_CHUNK * folds;
        t->texel = fg_lightning_by_lanes(&e->ops);
        break;
    case FG_KERNEL_NORM:
        t->bytes = (2 * n + 1) * e->hp.n_embd * 4;
        t->flops = 4 * n * e->hp.n_embd;
        break;
    case FG_KERNEL_GATE:
        t->bytes = (3 * n + 1) * width * 4;
        t->flops = 5 * n * width;
        break;
    }
}

void fg_kernel_bench_name(const struct fg_kernel_bench *b, uint32_t i, struct fg_kernel_time *out)
{
    static const char *const names[] = {"matmul",    "matmul_moe", "softmax attention",
                                        "lightning", "rmsnorm",    "lightning gate"};
    const struct fg_kernel_case *c = &b->cases[i];
    const struct fg_hparams *hp = &b->engine->hp;
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
                 c->n_rows, c->k, hp->n_expert_used, c->n_tokens);
        break;
    case FG_KERNEL_SOFTMAX:
        snprintf(out->shape, n, "%u/%u heads x %u, %u at %u", hp->n_head, hp->n_head_kv,
                 hp->head_dim, c->n_tokens, c->depth);
        break;
    case FG_KERNEL_LIGHTNING:
        snprintf(out->shape, n, "%u heads x %u, %u at %u", hp->n_head, hp->head_dim, c->n_tokens,
                 c->depth);
        break;
    case FG_KERNEL_NORM: snprintf(out->shape, n, "%u, %u", hp->n_embd, c->n_tokens); break;
    case FG_KERNEL_GATE:
        snprintf(out->shape, n, "%u, %u", hp->n_head * hp->head_dim, c->n_tokens);
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
