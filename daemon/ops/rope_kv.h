/* Rotates queries and keys by position, and stores keys and values in their pages. */
#ifndef FG_OPS_ROPE_KV_H
#define FG_OPS_ROPE_KV_H

#include "ops.h"
#include "step_tables.h"
#include "view.h"

/* Heads of a softmax attention. */
struct fg_heads {
    uint32_t n_head, n_head_kv, head_dim;
    uint32_t rope_dim; /* rotated leading dimensions of a head, even */
    bool neox;         /* the first half pairs with the second half; else pairs (2i, 2i + 1) */
};

struct fg_rope_kv {
    const struct fg_heads *heads;
    bool gated;                /* behind each head of q lies that of a gate on its output */
    struct fg_view qkv;        /* queries (and gates between them), keys, values of each token */
    struct fg_buffer *rotated; /* [qkv.rows][n_head * head_dim] out */
    struct fg_buffer *kv;      /* pages */
    struct fg_buffer *q_norm, *k_norm; /* RMS norms [head_dim] of each head, or NULL: none */
    float eps;                         /* of those norms */
    struct fg_buffer *angles;          /* rope or rope_local of the tables */
    const struct fg_step_tables *tables;
};
void fg_record_rope_kv(struct fg_ops *o, const struct fg_rope_kv *a);

#endif
