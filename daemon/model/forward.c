/* The layers of both families, recorded from the step's tables. Buffers flow
 *   x -> n -> qkv -> attn -> x -> n -> feed-forward -> x
 * with a barrier wherever the next kernel reads what the last one wrote. */
#include "engine_priv.h"
#include "ops/embed.h"
#include "ops/lightning_attention.h"
#include "ops/moe.h"
#include "ops/norm.h"
#include "ops/quantize.h"
#include "ops/softmax_attention.h"
#include "ops/swiglu.h"

/* Rows of the first n tokens of a buffer. */
static struct fg_view embd_rows(const struct fg_engine *e, struct fg_buffer *b, uint32_t n)
{
    return fg_view_of(b, e->s.ld_embd, n, e->hp.n_embd);
}

static struct fg_view heads_rows(const struct fg_engine *e, struct fg_buffer *b, uint32_t n)
{
    return fg_view_of(b, e->s.ld_heads, n, e->hp.n_head * e->hp.head_dim);
}

static struct fg_view ff_rows(const struct fg_engine *e, struct fg_buffer *b, uint32_t n)
{
    return fg_view_of(b, e->s.ld_ff, n, e->hp.n_ff);
}

static struct fg_view qkv_rows(const struct fg_engine *e, uint32_t n)
{
    return fg_view_of(e->s.qkv, e->s.ld_qkv, n, e->s.ld_qkv);
}

/* The queries, keys and values of a layer of either kind; returns the operand that they came of. */
static struct fg_operand record_qkv(struct fg_engine *e, const struct fg_layer *l, uint32_t n)
{
    struct fg_operand x = fg_record_quantize(&e->ops, embd_rows(e, e->s.n, n), &e->s.quantized);
    for (size_t i = 0; i < sizeof l->qkv / sizeof *l->qkv && l->qkv[i].n_parts; i++)
        fg_record_matmul(&e->ops,
                         &(struct fg_matmul){.m = &l->qkv[i], .x = x, .y = qkv_rows(e, n)});
    return x;
}

static void record_softmax(struct fg_engine *e, const struct fg_layer *l,
                           const struct fg_step_shape *shape)
{
    record_qkv(e, l, shape->n_tokens);
    fg_cmd_barrier(e->ops.cmd);
    fg_record_rope_kv(&e->ops, &(struct fg_rope_kv){.heads = &e->heads,
                                                    .qkv = qkv_rows(e, shape->n_tokens),
                                                    .rotated = e->s.rotated,
                                                    .kv = l->kv,
                                                    .tables = &e->s.tables});
    fg_cmd_barrier(e->ops.cmd);
    fg_record_attend(e, l, shape);
}

void fg_record_attend(struct fg_engine *e, const struct fg_layer *l,
                      const struct fg_step_shape *shape)
{
    fg_record_softmax_attention(
        &e->ops, &(struct fg_softmax_attention){.heads = &e->heads,
                                                .rotated = e->s.rotated,
                                                .kv = l->kv,
                                                .out = heads_rows(e, e->s.attn, shape->n_tokens),
                                                .partial = e->s.partial,
                                                .tables = &e->s.tables,
                                                .shape = shape});
}

static void record_lightning(struct fg_engine *e, const struct fg_layer *l,
                             const struct fg_step_shape *shape)
{
    uint32_t n = shape->n_tokens;
    struct fg_operand x = record_qkv(e, l, n);
    fg_record_matmul(&e->ops,
                     &(struct fg_matmul){.m = &l->gate, .x = x, .y = heads_rows(e, e->s.gate, n)});
    fg_cmd_barrier(e->ops.cmd);
    fg_record_lightning(e, l, shape);
    fg_layer_gate(e, l, n);
}

void fg_record_lightning(struct fg_engine *e, const struct fg_layer *l,
                         const struct fg_step_shape *shape)
{
    uint32_t n = shape->n_tokens;
    fg_record_lightning_attention(
        &e->ops, &(struct fg_lightning_attention){.n_head = e->hp.n_head,
                                                  .head_dim = e->hp.head_dim,
                                                  .qkv = qkv_rows(e, n),
                                                  .rotated = e->s.rotated,
                                                  .state = l->state,
                                                  .k_rows = l->k_rows,
                                                  .v_rows = l->v_rows,
                                                  .decay = l->decay,
                                                  .out = heads_rows(e, e->s.attn, n),
                                                  .tables = &e->s.tables,
                                                  .shape = shape});
}

void fg_layer_gate(struct fg_engine *e, const struct fg_layer *l, uint32_t n)
{
    fg_record_gate(&e->ops, &(struct fg_gate){.x = heads_rows(e, e->s.attn, n),
                                              .gate = heads_rows(e, e->s.gate, n),
                                              .y = heads_rows(e, e->s.gated, n),
                                              .w = l->attn_norm_2});
}

struct fg_expert_groups fg_step_groups(const struct fg_engine *e, uint32_t n_pairs)
{
    return (struct fg_expert_groups){.n_pairs = n_pairs,
                                     .n_used = e->hp.n_expert_used,
                                     .n_expert = e->hp.n_expert,
                                     .pairs = e->s.pairs,
                                     .pair_tiles = e->s.pair_tiles};
}

/* silu(gate) * up into ff_gate: of the pairs of token and expert, or, without groups, of n_rows
 * tokens of a dense layer. */
static void record_gate_up(struct fg_engine *e, const struct fg_layer *l,
                           const struct fg_operand *x, uint32_t n_rows,
                           const struct fg_expert_groups *groups)
{
    const struct fg_matrix *m[] = {&l->ffn_gate, &l->ffn_up};
    struct fg_view y[] = {ff_rows(e, e->s.ff_gate, n_rows), ff_rows(e, e->s.ff_up, n_rows)};

    for (int i = 0; i < (m[0]->gated ? 1 : 2); i++) {
        if (groups)
            fg_record_matmul_moe(
                &e->ops,
                &(struct fg_matmul_moe){
                    .m = m[i], .x = *x, .y = y[i], .groups = groups, .x_div = groups->n_used});
        else
            fg_record_matmul(&e->ops, &(struct fg_matmul){.m = m[i], .x = *x, .y = y[i]});
    }
    fg_cmd_barrier(e->ops.cmd);
    if (!m[0]->gated)
        fg_record_swiglu(&e->ops, y[0], y[1]);
}

static void record_dense(struct fg_engine *e, const struct fg_layer *l, uint32_t n,
                         struct fg_buffer *residual)
{
    struct fg_operand x = fg_record_quantize(&e->ops, embd_rows(e, e->s.n, n), &e->s.quantized);
    record_gate_up(e, l, &x, n, NULL);
    x = fg_record_quantize(&e->ops, ff_rows(e, e->s.ff_gate, n), &e->s.quantized);
    fg_record_matmul(&e->ops, &(struct fg_matmul){.m = &l->ffn_down,
                                                  .x = x,
                                                  .y = embd_rows(e, e->s.x, n),
                                                  .residual = embd_rows(e, residual, n),
                                                  .alpha = e->hp.residual_scale});
    fg_cmd_barrier(e->ops.cmd);
}

/* next_norm: the norm that the next layer begins with, its residual being what is normed; NULL
 * behind the last layer, and where the residual is the input itself. */
static void record_moe(struct fg_engine *e, const struct fg_layer *l, uint32_t n,
                       struct fg_buffer *residual, struct fg_buffer *next_norm)
{
    const struct fg_hparams *hp = &e->hp;
    uint32_t pairs = n * hp->n_expert_used;
    struct fg_expert_groups groups = fg_step_groups(e, pairs);
    struct fg_operand x = fg_record_quantize(&e->ops, embd_rows(e, e->s.n, n), &e->s.quantized);
    struct fg_view router = fg_view_of(e->s.router, e->s.ld_router, n, hp->n_expert);

    fg_record_matmul(&e->ops, &(struct fg_matmul){.m = &l->router, .x = x, .y = router});
    fg_cmd_barrier(e->ops.cmd);
    fg_record_moe_route(&e->ops, &(struct fg_moe_route){.logits = router,
                                                        .experts = e->s.experts,
                                                        .weights = e->s.expert_weights,
                                                        .groups = &groups});
    record_gate_up(e, l, &x, pairs, &groups);
    x = fg_record_quantize(&e->ops, ff_rows(e, e->s.ff_gate, pairs), &e->s.quantized);
    fg_record_matmul_moe(&e->ops, &(struct fg_matmul_moe){.m = &l->ffn_down,
                                                          .x = x,
                                                          .y = embd_rows(e, e->s.ff_down, pairs),
                                                          .groups = &groups,
                                                          .x_div = 1});
    fg_cmd_barrier(e->ops.cmd);
    const struct fg_moe_combine combine = {.y = embd_rows(e, e->s.ff_down, pairs),
                                           .weights = e->s.expert_weights,
                                           .n_used = hp->n_expert_used,
                                           .x = embd_rows(e, e->s.x, n),
                                           .residual = embd_rows(e, residual, n),
                                           .alpha = hp->residual_scale};
    if (next_norm)
        fg_record_moe_combine_norm(&e->ops, &combine, next_norm, hp->norm_eps);
    else
        fg_record_moe_combine(&e->ops, &combine);
}

static void record_norm(struct fg_engine *e, struct fg_buffer *w, uint32_t n)
{
    fg_record_norm(&e->ops, &(struct fg_norm){.x = embd_rows(e, e->s.x, n),
                                              .y = embd_rows(e, e->s.n, n),
                                              .w = w,
                                              .eps = e->hp.norm_eps});
    fg_cmd_barrier(e->ops.cmd);
}

/* A layer but for the norm that it begins with. */
static void record_layer(struct fg_engine *e, const struct fg_layer *l,
                         const struct fg_step_shape *shape, struct fg_buffer *next_norm)
{
    const struct fg_hparams *hp = &e->hp;
    uint32_t n = shape->n_tokens;
    /* The residual is the normed input (post-norm) or the input itself. */
    struct fg_buffer *residual = hp->post_norm ? e->s.n : e->s.x;

    if (l->recurrent)
        record_lightning(e, l, shape);
    else
        record_softmax(e, l, shape);
    struct fg_operand heads = fg_record_quantize(
        &e->ops, heads_rows(e, l->recurrent ? e->s.gated : e->s.attn, n), &e->s.quantized);
    fg_record_matmul(&e->ops, &(struct fg_matmul){.m = &l->output,
                                                  .x = heads,
                                                  .y = embd_rows(e, e->s.x, n),
                                                  .residual = embd_rows(e, residual, n),
                                                  .alpha = hp->residual_scale});
    fg_cmd_barrier(e->ops.cmd);
    record_norm(e, l->ffn_norm, n);
    if (hp->n_expert)
        record_moe(e, l, n, residual, next_norm);
    else
        record_dense(e, l, n, residual);
}

/* Desktops share the card, and drivers reset one that is busy for seconds: no submission is to
 * take longer, as far as whole layers allow. */
static const double SUBMISSION_S = 0.05;

/* Ends the submission of `*layers` layers when one more would take it past its time. */
static void bound_submission(struct fg_engine *e, uint32_t n_tokens, uint32_t *layers)
{
    double a_layer = e->token_layer_s[n_tokens > 1] * n_tokens;

    if ((*layers + 1) * a_layer <= SUBMISSION_S)
        return;
    fg_step_cut(e, *layers);
    *layers = 0;
}

void fg_record_layers(struct fg_engine *e, const struct fg_step_shape *shape, uint32_t *layers)
{
    const struct fg_hparams *hp = &e->hp;
    uint32_t n = shape->n_tokens;
    bool fused = hp->n_expert && hp->post_norm;

    *layers = 0;
    fg_record_embed(&e->ops, &(struct fg_embed){.m = &e->embd,
                                                .tokens = e->s.tables.tokens,
                                                .y = embd_rows(e, e->s.x, n)});
    fg_cmd_barrier(e->ops.cmd);
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        const struct fg_layer *l = &e->layers[i];
        bool last = i + 1 == hp->n_layer;
        if (i == 0 || !fused)
            record_norm(e, l->attn_norm, n);
        record_layer(e, l, shape, fused && !last ? l[1].attn_norm : NULL);
        ++*layers;
        if (!last)
            bound_submission(e, n, layers);
    }
}
