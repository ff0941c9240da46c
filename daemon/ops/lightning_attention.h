/* Lightning attention from queries, keys and values to its output, chunk by chunk: the rows of a
 * chunk are kept, and folded into the state when it is full. */
#ifndef FG_OPS_LIGHTNING_ATTENTION_H
#define FG_OPS_LIGHTNING_ATTENTION_H

#include "ops.h"
#include "step_tables.h"
#include "view.h"

struct fg_lightning_attention {
    uint32_t n_head, head_dim;
    struct fg_view qkv;        /* q, k and v of a head side by side */
    struct fg_buffer *rotated; /* [qkv.rows][n_head * head_dim]: queries behind their SiLU */
    struct fg_buffer *state, *k_rows, *v_rows; /* [n_seq] slots */
    struct fg_buffer *decay;                   /* [n_head][65] lambda^n */
    struct fg_view out;                        /* [tokens][n_head * head_dim] */
    const struct fg_step_tables *tables;
    const struct fg_step_shape *shape;
};
/* Ends with a barrier. */
void fg_record_lightning_attention(struct fg_ops *o, const struct fg_lightning_attention *a);
/* Whether it goes by lanes, through texel buffers: for subgroups of 8; with 4, compilers take
 * minutes for it. */
bool fg_lightning_by_lanes(const struct fg_ops *o);

/* y = sigmoid(gate) * rmsnorm(x) * w, all heads together. Ends with a barrier. */
struct fg_gate {
    struct fg_view x, gate, y;
    struct fg_buffer *w;
};
void fg_record_gate(struct fg_ops *o, const struct fg_gate *a);

#endif
