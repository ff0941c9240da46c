/* Mixture of experts: each token goes to the few that a router chooses, and where the model has
 * one, to an expert that all tokens share. */
#include "swiglu_ffn.h"

#include "ops/bias.h"
#include "ops/moe.h"
#include "ops/quantize.h"
#include "ops/row_gate.h"
#include "ops/swiglu.h"

/* Slots of matrices. */
enum { ROUTER, GATE, UP, DOWN, SHARED_GATE, SHARED_UP, SHARED_DOWN, SHARED_ROUTER };
enum { CHOICE_BIAS, ROUTER_BIAS, GATE_BIAS, UP_BIAS, DOWN_BIAS }; /* of vectors */

static void expert_rows(struct fg_tensor_row *row, uint32_t n_expert)
{
    row->ne[2] = n_expert;
}

/* A row an expert. */
static void bias_rows(const struct fg_block_shape *s, struct fg_tensor_table *t)
{
    static const char *const names[] = {"ffn_gate_exps.bias", "ffn_up_exps.bias",
                                        "ffn_down_exps.bias"};

    fg_table_vector(t, ROUTER_BIAS, "ffn_gate_inp.bias", s->moe.n_expert)->bare = true;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t n = i < 2 ? s->moe.n_ff : s->n_embd;
        struct fg_tensor_row *row = fg_table_vector(t, GATE_BIAS + i, names[i], n);

        row->ne[1] = s->moe.n_expert;
        row->bare = true;
    }
}

static void tensors(const struct fg_block_shape *s, struct fg_tensor_table *t)
{
    uint32_t ff = s->moe.n_ff, shared = s->moe.n_ff_shared;
    struct fg_tensor_row *gate, *up;

    fg_table_matrix(t, ROUTER, "ffn_gate_inp", s->n_embd, s->moe.n_expert);
    if (s->moe.fused) {
        gate = fg_table_matrix(t, GATE, "ffn_gate_up_exps", s->n_embd, 2ull * ff);
        gate->join = FG_JOIN_HALVES;
    } else {
        gate = fg_table_matrix(t, GATE, "ffn_gate_exps", s->n_embd, ff);
        up = fg_table_matrix(t, UP, "ffn_up_exps", s->n_embd, ff);
        up->join = fg_gate_join(s);
        expert_rows(up, s->moe.n_expert);
    }
    expert_rows(gate, s->moe.n_expert);
    expert_rows(fg_table_matrix(t, DOWN, "ffn_down_exps", ff, s->n_embd), s->moe.n_expert);
    if (s->moe.biased)
        bias_rows(s, t);
    if (s->moe.biased_choice)
        fg_table_vector(t, CHOICE_BIAS, "exp_probs_b.bias", s->moe.n_expert)->bare = true;
    if (!shared)
        return;
    fg_table_matrix(t, SHARED_GATE, "ffn_gate_shexp", s->n_embd, shared);
    fg_table_matrix(t, SHARED_UP, "ffn_up_shexp", s->n_embd, shared)->join = fg_gate_join(s);
    fg_table_matrix(t, SHARED_DOWN, "ffn_down_shexp", shared, s->n_embd);
    if (s->moe.shared_gate)
        fg_table_matrix(t, SHARED_ROUTER, "ffn_gate_inp_shexp", s->n_embd, 1);
}

static int check(const struct fg_block_shape *s, struct fg_err *err)
{
    if (s->post)
        return fg_fail(err, FG_EUNSUPPORTED, "a norm of the experts' result");
    if (s->moe.fused && (s->gate != FG_GATE_SILU || s->moe.biased))
        return fg_fail(err, FG_EUNSUPPORTED,
                       "gate and up of the experts in one tensor, with another gate than silu or "
                       "biases");
    if (s->moe.biased && s->gate == FG_GATE_SILU)
        return fg_fail(err, FG_EUNSUPPORTED, "biases of experts before a silu gate");
    return 0;
}

static void needs(const struct fg_block_shape *s, struct fg_activation_needs *n)
{
    uint32_t used = s->moe.n_used;

    n->apart |= s->gate != FG_GATE_SILU;
    fg_need(&n->ff, used * fg_round_up(s->moe.n_ff, 32));
    fg_need(&n->ff, fg_round_up(s->moe.n_ff_shared, 32));
    fg_need(&n->ff_down, used * fg_round_up(s->n_embd, 32));
    fg_need(&n->router, s->moe.n_expert);
    fg_need(&n->pairs, used);
    fg_need(&n->n_expert, s->moe.n_expert);
    fg_need_operand(n, used, s->moe.n_ff);
    fg_need_operand(n, 1, s->moe.n_ff_shared);
}

/* silu(gate x) * (up x) of the experts of each token, or another gate. */
static struct fg_view record_experts(const struct fg_block *b, const struct fg_block_run *r,
                                     const struct fg_operand *x,
                                     const struct fg_expert_groups *groups)
{
    const struct fg_matrix *gate = &b->matrices[GATE];
    struct fg_view y = fg_activation_rows(r->a->ff_gate, groups->n_pairs, b->shape.moe.n_ff);
    struct fg_view up = fg_activation_rows(r->a->ff_up, groups->n_pairs, b->shape.moe.n_ff);
    struct fg_matmul_moe product = {
        .m = gate, .x = *x, .y = y, .groups = groups, .x_div = groups->n_used};

    fg_record_matmul_moe(r->ops, &product);
    if (!gate->gated) {
        product.m = &b->matrices[UP];
        product.y = up;
        fg_record_matmul_moe(r->ops, &product);
    }
    fg_cmd_barrier(r->ops->cmd);
    if (b->shape.moe.biased) {
        fg_record_expert_bias(r->ops, y, b->vectors[GATE_BIAS], r->a->experts);
        fg_record_expert_bias(r->ops, up, b->vectors[UP_BIAS], r->a->experts);
        fg_cmd_barrier(r->ops->cmd);
    }
    if (!gate->gated)
        fg_record_swiglu(r->ops, b->shape.gate, y, up);
    return y;
}

/* The experts' results, a row a pair. */
static struct fg_view record_pairs(const struct fg_block *b, const struct fg_block_run *r,
                                   const struct fg_operand *x,
                                   const struct fg_expert_groups *groups)
{
    struct fg_view router = fg_activation_rows(r->a->router, r->n.rows, b->shape.moe.n_expert);
    struct fg_view out = fg_activation_rows(r->a->ff_down, groups->n_pairs, b->shape.n_embd);

    fg_record_matmul(r->ops, &(struct fg_matmul){.m = &b->matrices[ROUTER], .x = *x, .y = router});
    fg_cmd_barrier(r->ops->cmd);
    if (b->shape.moe.biased) {
        fg_record_bias(r->ops, router, b->vectors[ROUTER_BIAS], 0, b->shape.moe.n_expert);
        fg_cmd_barrier(r->ops->cmd);
    }
    fg_record_moe_route(r->ops, &(struct fg_moe_route){.logits = router,
                                                       .bias = b->vectors[CHOICE_BIAS],
                                                       .experts = r->a->experts,
                                                       .weights = r->a->expert_weights,
                                                       .groups = groups});
    struct fg_view y = record_experts(b, r, x, groups);
    fg_record_matmul_moe(
        r->ops, &(struct fg_matmul_moe){.m = &b->matrices[DOWN],
                                        .x = fg_record_quantize(r->ops, y, &r->a->quantized),
                                        .y = out,
                                        .groups = groups,
                                        .x_div = 1});
    fg_cmd_barrier(r->ops->cmd);
    if (b->shape.moe.biased) {
        fg_record_expert_bias(r->ops, out, b->vectors[DOWN_BIAS], r->a->experts);
        fg_cmd_barrier(r->ops->cmd);
    }
    return out;
}

/* x = alpha * residual + the shared expert's result. */
static void record_shared(const struct fg_block *b, const struct fg_block_run *r)
{
    struct fg_operand x = fg_record_quantize(r->ops, r->n, &r->a->quantized);
    struct fg_view gate = fg_activation_rows(r->a->router, r->n.rows, 1);

    if (b->shape.moe.shared_gate)
        fg_record_matmul(r->ops,
                         &(struct fg_matmul){.m = &b->matrices[SHARED_ROUTER], .x = x, .y = gate});
    struct fg_view y = fg_record_swiglu_ffn(b, r, (struct fg_swiglu_slots){SHARED_GATE, SHARED_UP},
                                            &x, b->shape.moe.n_ff_shared);
    if (b->shape.moe.shared_gate)
        fg_record_row_gate(r->ops, y, gate);
    fg_block_project(b, r, SHARED_DOWN, y);
}

static bool record(const struct fg_block *b, const struct fg_block_run *r)
{
    const struct fg_block_shape *s = &b->shape;
    struct fg_expert_groups groups = {.n_pairs = r->n.rows * s->moe.n_used,
                                      .n_used = s->moe.n_used,
                                      .n_expert = s->moe.n_expert,
                                      .pairs = r->a->pairs,
                                      .pair_tiles = r->a->pair_tiles};
    struct fg_operand x = fg_record_quantize(r->ops, r->n, &r->a->quantized);
    struct fg_moe_combine combine = {.y = record_pairs(b, r, &x, &groups),
                                     .weights = r->a->expert_weights,
                                     .n_used = s->moe.n_used,
                                     .x = r->x,
                                     .residual = fg_block_residual(b, r),
                                     .alpha = s->residual_scale};

    if (s->moe.n_ff_shared) {
        /* The shared expert's part first, onto which the others' are added. */
        record_shared(b, r);
        combine.residual = r->x;
        combine.alpha = 1;
    } else if (r->next.w && s->post_norm) {
        fg_record_moe_combine_norm(r->ops, &combine, r->next.w, r->next.eps);
        return true;
    }
    fg_record_moe_combine(r->ops, &combine);
    return false;
}

const struct fg_block_kind fg_moe_block = {.name = "mixture of experts",
                                           .tensors = tensors,
                                           .needs = needs,
                                           .check = check,
                                           .record = record};
