/* The gated delta rule: a state that decays and is corrected, behind a short convolution; a norm
 * and a gate on each head's output. */
#include "block.h"
#include "base/block_tokens.h"

#include "ops/delta_rule.h"
#include "ops/matmul.h"
#include "ops/quantize.h"

enum { QKV, PRODUCTS = 4, OUTPUT = 4 };          /* slots of matrices; QKV + 1.. may be empty */
enum { TAPS, DECAY, BIAS, HEAD_NORM };           /* of vectors */
enum { STATE, TAIL, K_ROWS, U_ROWS, LOG_DECAY }; /* of memory */

static uint32_t width(const struct fg_block_shape *s)
{
    return s->delta.n_head_v * s->delta.head_dim;
}

static void tensors(const struct fg_block_shape *s, struct fg_tensor_table *t)
{
    const struct fg_delta_shape d = s->delta;
    uint32_t heads = d.n_head_v;
    struct fg_tensor_row *taps;

    /* They make one row of y; of as few matrices as their types and tiles allow. */
    fg_table_matrix(t, QKV, "attn_qkv", s->n_embd, fg_delta_channels(&d));
    fg_table_matrix(t, QKV + 1, "attn_gate", s->n_embd, width(s))->join = FG_JOIN_BELOW;
    fg_table_matrix(t, QKV + 2, "ssm_alpha", s->n_embd, heads)->join = FG_JOIN_BELOW;
    fg_table_matrix(t, QKV + 3, "ssm_beta", s->n_embd, heads)->join = FG_JOIN_BELOW;
    taps = fg_table_vector(t, TAPS, "ssm_conv1d", d.taps);
    taps->ne[1] = fg_delta_channels(&d);
    fg_table_vector(t, DECAY, "ssm_a", heads)->bare = true;
    fg_table_vector(t, BIAS, "ssm_dt.bias", heads)->bare = true;
    fg_table_vector(t, HEAD_NORM, "ssm_norm", d.head_dim);
    fg_table_matrix(t, OUTPUT, "ssm_out", width(s), s->n_embd);
}

static void memory(const struct fg_block_shape *s, enum fg_kv_type kv, struct fg_block_memory *m)
{
    const struct fg_delta_shape d = s->delta;
    uint64_t k_width = (uint64_t)d.n_head_k * d.head_dim;
    (void)kv;
    fg_block_memory_add(m, FG_MEMORY_STATE, "states", 4ull * width(s) * d.head_dim);
    fg_block_memory_add(m, FG_MEMORY_TAIL, "convolution tails",
                        4ull * (d.taps - 1) * fg_delta_channels(&d));
    fg_block_memory_add(m, FG_MEMORY_ROWS, "chunk rows", 4ull * FG_BLOCK_TOKENS * k_width);
    fg_block_memory_add(m, FG_MEMORY_ROWS, "chunk rows", 4ull * FG_BLOCK_TOKENS * width(s));
    fg_block_memory_add(m, FG_MEMORY_ROWS, "chunk rows", 4ull * FG_BLOCK_TOKENS * d.n_head_v);
}

static void needs(const struct fg_block_shape *s, struct fg_activation_needs *n)
{
    const struct fg_delta_shape d = s->delta;

    fg_need(&n->qkv, fg_delta_columns(&d));
    fg_need(&n->heads, width(s));
    fg_need(&n->gate, width(s));
    fg_need(&n->system, d.n_head_v * FG_BLOCK_TOKENS);
    fg_need(&n->strength, d.n_head_v);
    fg_need_operand(n, 1, width(s));
}

static int check(const struct fg_block_shape *s, struct fg_err *err)
{
    uint32_t d = s->delta.head_dim;
    if (d % 8)
        return fg_fail(err, FG_EUNSUPPORTED, "head dimension %u: must be a multiple of 8", d);
    if (d > 256)
        return fg_fail(err, FG_EUNSUPPORTED,
                       "head dimension %u: the gated delta rule supports up to 256", d);
    return 0;
}

static bool record(const struct fg_block *b, const struct fg_block_run *r)
{
    const struct fg_delta_shape d = b->shape.delta;
    uint32_t n = r->shape->n_tokens;
    struct fg_view rows = fg_activation_rows(r->a->qkv, n, fg_delta_columns(&d));
    struct fg_view attn = fg_activation_rows(r->a->attn, n, width(&b->shape));
    struct fg_view gated = fg_activation_rows(r->a->gated, n, width(&b->shape));
    struct fg_operand x = fg_record_quantize(r->ops, r->n, &r->a->quantized);

    for (uint32_t i = 0; i < PRODUCTS; i++)
        if (b->matrices[QKV + i].n_parts)
            fg_record_matmul(r->ops,
                             &(struct fg_matmul){.m = &b->matrices[QKV + i], .x = x, .y = rows});
    fg_cmd_barrier(r->ops->cmd);
    fg_record_delta_rule(r->ops,
                         &(struct fg_delta_rule){.shape = d,
                                                 .rows = rows,
                                                 .taps = b->vectors[TAPS],
                                                 .decay = b->vectors[DECAY],
                                                 .bias = b->vectors[BIAS],
                                                 .state = fg_block_memory(b, r, STATE),
                                                 .tail = fg_block_memory(b, r, TAIL),
                                                 .k_rows = fg_block_memory(b, r, K_ROWS),
                                                 .u_rows = fg_block_memory(b, r, U_ROWS),
                                                 .log_decay = fg_block_memory(b, r, LOG_DECAY),
                                                 .q = r->a->rotated,
                                                 .v = r->a->gate,
                                                 .system = r->a->system,
                                                 .strength = r->a->strength,
                                                 .out = attn,
                                                 .tables = r->tables,
                                                 .step = r->shape});
    fg_record_delta_gate(r->ops, &(struct fg_delta_gate){.shape = &d,
                                                         .x = attn,
                                                         .rows = rows,
                                                         .y = gated,
                                                         .w = b->vectors[HEAD_NORM],
                                                         .eps = b->shape.norm_eps});
    fg_block_project(b, r, OUTPUT, gated);
    return false;
}

const struct fg_block_kind fg_delta_rule_block = {.name = "gated delta rule",
                                                  .tensors = tensors,
                                                  .memory = memory,
                                                  .needs = needs,
                                                  .check = check,
                                                  .record = record};
