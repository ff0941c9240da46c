/* The dense feed-forward: down(silu(gate x) * (up x)), or with another gate. */
#include "swiglu_ffn.h"

#include "ops/matmul.h"
#include "ops/quantize.h"
#include "ops/swiglu.h"

enum { GATE, UP, DOWN }; /* slots of matrices */

struct fg_view fg_record_swiglu_ffn(const struct fg_block *b, const struct fg_block_run *r,
                                    struct fg_swiglu_slots slots, const struct fg_operand *x,
                                    uint32_t n_ff)
{
    const struct fg_matrix *gate = &b->matrices[slots.gate], *up = &b->matrices[slots.up];
    struct fg_view y = fg_activation_rows(r->a->ff_gate, r->n.rows, n_ff);
    struct fg_view y_up = fg_activation_rows(r->a->ff_up, r->n.rows, n_ff);

    fg_record_matmul(r->ops, &(struct fg_matmul){.m = gate, .x = *x, .y = y});
    if (!gate->gated)
        fg_record_matmul(r->ops, &(struct fg_matmul){.m = up, .x = *x, .y = y_up});
    fg_cmd_barrier(r->ops->cmd);
    if (!gate->gated)
        fg_record_swiglu(r->ops, b->shape.gate, y, y_up);
    return y;
}

enum fg_tensor_join fg_gate_join(const struct fg_block_shape *s)
{
    return s->gate == FG_GATE_SILU ? FG_JOIN_GATED : FG_JOIN_NONE;
}

static void tensors(const struct fg_block_shape *s, struct fg_tensor_table *t)
{
    fg_table_matrix(t, GATE, "ffn_gate", s->n_embd, s->dense.n_ff);
    fg_table_matrix(t, UP, "ffn_up", s->n_embd, s->dense.n_ff)->join = fg_gate_join(s);
    fg_table_matrix(t, DOWN, "ffn_down", s->dense.n_ff, s->n_embd);
}

static void needs(const struct fg_block_shape *s, struct fg_activation_needs *n)
{
    fg_need(&n->ff, fg_round_up(s->dense.n_ff, 32));
    n->apart |= s->gate != FG_GATE_SILU;
    fg_need_operand(n, 1, s->dense.n_ff);
}

static bool record(const struct fg_block *b, const struct fg_block_run *r)
{
    struct fg_operand x = fg_record_quantize(r->ops, r->n, &r->a->quantized);
    struct fg_view y =
        fg_record_swiglu_ffn(b, r, (struct fg_swiglu_slots){GATE, UP}, &x, b->shape.dense.n_ff);

    fg_block_project(b, r, DOWN, y);
    return false;
}

const struct fg_block_kind fg_dense_ffn_block = {
    .name = "dense feed-forward", .tensors = tensors, .needs = needs, .record = record};
