/* The gated delta rule from the rows of its products to its output, chunk by chunk. A token reads
 * the state at its chunk's start and the rows of its chunk up to its own, as in lightning attention
 * (docs/numerics.md); what is kept in a chunk's rows, and folded into the state when it is full, is
 * k and what the rule adds of v, u. */
#ifndef FG_OPS_DELTA_RULE_H
#define FG_OPS_DELTA_RULE_H

#include "ops.h"
#include "step_tables.h"
#include "view.h"

struct fg_delta_shape {
    uint32_t n_head_k, n_head_v; /* of q and k; of v: head p takes q and k of p % n_head_k */
    uint32_t head_dim;           /* of all three */
    uint32_t taps;               /* of the short convolution, the token's own included */
};

/* Columns of a row of the products: q, k and v of all heads before the convolution; the gates of
 * the output; a number a head of v that the decay comes from, and one that the rule's strength
 * comes from. */
static inline uint32_t fg_delta_channels(const struct fg_delta_shape *s)
{
    return (2 * s->n_head_k + s->n_head_v) * s->head_dim;
}

static inline uint32_t fg_delta_columns(const struct fg_delta_shape *s)
{
    return fg_delta_channels(s) + s->n_head_v * (s->head_dim + 2);
}

struct fg_delta_rule {
    struct fg_delta_shape shape;
    struct fg_view rows; /* [tokens][fg_delta_columns()] */
    /* Of the block: taps of each channel; of each head of v the factor of its decay and what is
     * added before. */
    struct fg_buffer *taps, *decay, *bias;
    /* [n_seq] slots: the state; the last columns before the convolution; rows of the chunk: k, u,
     * and the log of the decay since its start. */
    struct fg_buffer *state, *tail, *k_rows, *u_rows, *log_decay;
    /* Of the step's tokens: q; v, then what is left of it by the state; the rows' weights in each
     * other; the rule's strength. */
    struct fg_buffer *q, *v, *system, *strength;
    struct fg_view out; /* [tokens][n_head_v * head_dim] */
    const struct fg_step_tables *tables;
    const struct fg_step_shape *step;
};
/* Ends with a barrier. */
void fg_record_delta_rule(struct fg_ops *o, const struct fg_delta_rule *a);

/* y = (rmsnorm(x) * w) * silu(gate), each head by itself; the gates are columns gate_at.. of rows.
 * Ends with a barrier. */
struct fg_delta_gate {
    const struct fg_delta_shape *shape;
    struct fg_view x, rows, y;
    struct fg_buffer *w; /* [head_dim] */
    float eps;
};
void fg_record_delta_gate(struct fg_ops *o, const struct fg_delta_gate *a);

#endif
