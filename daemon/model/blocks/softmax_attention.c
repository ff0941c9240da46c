/* Softmax attention: queries, keys and values, rotated, over the pages of a sequence. */
#include "block.h"
#include "base/block_tokens.h"

#include "ops/bias.h"
#include "ops/head_gate.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/quantize.h"
#include "ops/softmax_attention.h"

#include <math.h>

enum { QKV, QKV_MATRICES = 3, OUTPUT = 3 }; /* slots of matrices; QKV + 1, + 2 may be empty */
enum { Q_NORM, K_NORM, BIAS, SINKS = 6 };   /* of vectors; BIAS + i: of the i-th matrix */
enum { KV };                                /* of memory */

static uint32_t width(const struct fg_block_shape *s)
{
    return s->heads.n_head * s->heads.head_dim;
}

static uint32_t kv_width(const struct fg_block_shape *s)
{
    return s->heads.n_head_kv * s->heads.head_dim;
}

/* Of queries, and of the gates between them. */
static uint32_t q_width(const struct fg_block_shape *s)
{
    return width(s) << s->gated_heads;
}

static void tensors(const struct fg_block_shape *s, struct fg_tensor_table *t)
{
    /* They make one row of y; of as few matrices as their types and tiles allow. */
    fg_table_matrix(t, QKV, "attn_q", s->n_embd, q_width(s));
    fg_table_matrix(t, QKV + 1, "attn_k", s->n_embd, kv_width(s))->join = FG_JOIN_BELOW;
    fg_table_matrix(t, QKV + 2, "attn_v", s->n_embd, kv_width(s))->join = FG_JOIN_BELOW;
    fg_table_matrix(t, OUTPUT, "attn_output", width(s), s->n_embd);
    if (s->normed_heads || s->normed_rows) {
        fg_table_vector(t, Q_NORM, "attn_q_norm", s->normed_rows ? width(s) : s->heads.head_dim);
        fg_table_vector(t, K_NORM, "attn_k_norm", s->normed_rows ? kv_width(s) : s->heads.head_dim);
    }
    if (s->sinks)
        fg_table_vector(t, SINKS, "attn_sinks", s->heads.n_head);
    if (s->biases & FG_BIAS_Q)
        fg_table_vector(t, BIAS + QKV, "attn_q.bias", q_width(s))->bare = true;
    if (s->biases & FG_BIAS_K)
        fg_table_vector(t, BIAS + QKV + 1, "attn_k.bias", kv_width(s))->bare = true;
    if (s->biases & FG_BIAS_V)
        fg_table_vector(t, BIAS + QKV + 2, "attn_v.bias", kv_width(s))->bare = true;
    if (s->biases & FG_BIAS_OUTPUT)
        fg_table_vector(t, BIAS + OUTPUT, "attn_output.bias", s->n_embd)->bare = true;
}

static void memory(const struct fg_block_shape *s, enum fg_kv_type kv, struct fg_block_memory *m)
{
    uint64_t value = kv == FG_KV_F16 ? 2 : 4;
    fg_block_memory_add(m, FG_MEMORY_PAGE, "KV pages",
                        2ull * kv_width(s) * FG_BLOCK_TOKENS * value);
}

static void needs(const struct fg_block_shape *s, struct fg_activation_needs *n)
{
    const struct fg_heads *h = &s->heads, *most = &n->attend;

    fg_need(&n->qkv, q_width(s) + 2 * kv_width(s));
    fg_need(&n->heads, width(s));
    fg_need_operand(n, 1, width(s));
    if ((uint64_t)h->n_head * (h->head_dim + 2) > (uint64_t)most->n_head * (most->head_dim + 2))
        n->attend = *h;
}

static int check(const struct fg_block_shape *s, struct fg_err *err)
{
    if (s->normed_rows && (s->gated_heads || s->normed_heads))
        return fg_fail(err, FG_EUNSUPPORTED,
                       "norms over all heads of q and k together with gates or norms of heads");
    if (s->post && (s->post_norm || s->biases & FG_BIAS_OUTPUT))
        return fg_fail(err, FG_EUNSUPPORTED,
                       "a norm of attention's result, with a bias of it or the normed input kept");
    if (s->heads.head_dim % 8)
        return fg_fail(err, FG_EUNSUPPORTED, "head dimension %u: must be a multiple of 8",
                       s->heads.head_dim);
    return 0;
}

/* Norms over the queries of a row, and over its keys. */
static void record_row_norms(const struct fg_block *b, const struct fg_block_run *r,
                             struct fg_view qkv)
{
    const struct fg_block_shape *s = &b->shape;

    fg_record_norm_part(r->ops,
                        &(struct fg_norm_part){
                            .x = qkv, .n = width(s), .w = b->vectors[Q_NORM], .eps = s->norm_eps});
    fg_record_norm_part(r->ops, &(struct fg_norm_part){.x = qkv,
                                                       .at = width(s),
                                                       .n = kv_width(s),
                                                       .w = b->vectors[K_NORM],
                                                       .eps = s->norm_eps});
    fg_cmd_barrier(r->ops->cmd);
}

/* A row: queries (and gates), keys, values. */
static struct fg_view record_qkv(const struct fg_block *b, const struct fg_block_run *r)
{
    const struct fg_block_shape *s = &b->shape;
    uint32_t n = r->shape->n_tokens, at = 0;
    const uint32_t widths[QKV_MATRICES] = {q_width(s), kv_width(s), kv_width(s)};
    struct fg_view qkv = fg_activation_rows(r->a->qkv, n, q_width(s) + 2 * kv_width(s));
    struct fg_operand x = fg_record_quantize(r->ops, r->n, &r->a->quantized);

    for (uint32_t i = 0; i < QKV_MATRICES; i++)
        if (b->matrices[QKV + i].n_parts)
            fg_record_matmul(r->ops,
                             &(struct fg_matmul){.m = &b->matrices[QKV + i], .x = x, .y = qkv});
    fg_cmd_barrier(r->ops->cmd);
    if (!(s->biases & ~(unsigned)FG_BIAS_OUTPUT))
        return qkv;
    for (uint32_t i = 0; i < QKV_MATRICES; at += widths[i++])
        if (b->vectors[BIAS + QKV + i])
            fg_record_bias(r->ops, qkv, b->vectors[BIAS + QKV + i], at, widths[i]);
    fg_cmd_barrier(r->ops->cmd);
    return qkv;
}

static float scale_of(const struct fg_block_shape *s)
{
    return s->attend_scale > 0 ? s->attend_scale : (float)(1.0 / sqrt((double)s->heads.head_dim));
}

static bool record(const struct fg_block *b, const struct fg_block_run *r)
{
    const struct fg_block_shape *s = &b->shape;
    struct fg_view qkv = record_qkv(b, r);
    struct fg_view out = fg_activation_rows(r->a->attn, r->shape->n_tokens, width(s));
    struct fg_buffer *kv = fg_block_memory(b, r, KV);
    struct fg_buffer *const *norms = s->normed_heads ? b->vectors : NULL; /* of heads */

    if (s->normed_rows)
        record_row_norms(b, r, qkv);
    fg_record_rope_kv(r->ops, &(struct fg_rope_kv){.heads = &s->heads,
                                                   .gated = s->gated_heads,
                                                   .qkv = qkv,
                                                   .rotated = r->a->rotated,
                                                   .kv = kv,
                                                   .q_norm = norms ? norms[Q_NORM] : NULL,
                                                   .k_norm = norms ? norms[K_NORM] : NULL,
                                                   .eps = s->norm_eps,
                                                   .angles = s->local_rope ? r->tables->rope_local
                                                                           : r->tables->rope,
                                                   .tables = r->tables});
    fg_cmd_barrier(r->ops->cmd);
    fg_record_softmax_attention(r->ops, &(struct fg_softmax_attention){.heads = &s->heads,
                                                                       .rotated = r->a->rotated,
                                                                       .kv = kv,
                                                                       .out = out,
                                                                       .scale = scale_of(s),
                                                                       .window = s->window,
                                                                       .sinks = b->vectors[SINKS],
                                                                       .partial = r->a->partial,
                                                                       .tables = r->tables,
                                                                       .shape = r->shape});
    if (s->gated_heads)
        fg_record_head_gate(r->ops, &s->heads, qkv, out);
    fg_block_project(b, r, OUTPUT, out);
    if (s->biases & FG_BIAS_OUTPUT) {
        fg_record_bias(r->ops, r->x, b->vectors[BIAS + OUTPUT], 0, s->n_embd);
        fg_cmd_barrier(r->ops->cmd);
    }
    return false;
}

const struct fg_block_kind fg_softmax_attention_block = {.name = "softmax attention",
                                                         .tensors = tensors,
                                                         .memory = memory,
                                                         .needs = needs,
                                                         .check = check,
                                                         .record = record};
