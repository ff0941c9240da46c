/* What a reference model holds: shared by the files that open it and run it. */
#ifndef FG_REF_MODEL_STATE_H
#define FG_REF_MODEL_STATE_H

#include "delta.h"
#include "model.h"
#include "ops.h"

enum { FG_REF_BATCH = 64 }; /* tokens that go through a layer together */

/* A mixer or a feed-forward. */
struct fg_ref_model_block {
    const struct fg_block_shape *s;
    const float *norm, *gate_norm, *q_norm, *k_norm;
    const float *q_bias, *k_bias, *v_bias, *output_bias;        /* or NULL */
    const float *choice_bias, *sinks, *post;                    /* or NULL */
    const float *router_bias, *gate_bias, *up_bias, *down_bias; /* or NULL; rows of experts */
    struct fg_ref_matrix q, k, v, qkv, attn_gate, attn_output, alpha, beta;
    struct fg_ref_matrix router, gate, up, down; /* rows of all experts one after the other */
    struct fg_ref_matrix shared_router, shared_gate, shared_up, shared_down;
    struct fg_ref_delta delta;
    float *k_rows, *v_rows, *state;
    struct fg_ref_matrix conv_in;
    const float *taps;
    float *tail;  /* of a short convolution: [taps - 1][n_embd], the latest last */
    float *decay; /* [n_head][65] */
};

struct fg_ref_model {
    const struct fg_gguf *g;
    struct fg_hparams hp;
    enum fg_kv_type kv;
    bool int8;
    struct fg_ref_matrix embd, head;
    const float *output_norm;
    struct fg_ref_model_block *blocks; /* [hp.n_blocks] */
    uint32_t length, room; /* tokens that the k_rows and v_rows of softmax layers have room for */
    /* Of a batch: [FG_REF_BATCH] rows each; ff_* and y have as many rows a token as any block has
     * experts.
     */
    float *x, *n, *qkv, *o, *attn_gate, *router, *ff_gate, *ff_up, *y, *rope, *rope_local;
    uint32_t *experts;
    float *weights;
};
static inline bool fg_ref_is_softmax(const struct fg_ref_model_block *b)
{
    return b->s->kind == &fg_softmax_attention_block;
}

static inline bool fg_ref_is_delta(const struct fg_ref_model_block *b)
{
    return b->s->kind == &fg_delta_rule_block;
}

static inline bool fg_ref_is_conv(const struct fg_ref_model_block *b)
{
    return b->s->kind == &fg_short_conv_block;
}

/* Widths of queries, and of keys or values. */
static inline size_t fg_ref_heads_width(const struct fg_ref_model_block *b)
{
    if (fg_ref_is_conv(b))
        return b->s->n_embd;
    if (fg_ref_is_delta(b))
        return (size_t)b->s->delta.n_head_v * b->s->delta.head_dim;
    return fg_ref_is_softmax(b) ? (size_t)b->s->heads.n_head * b->s->heads.head_dim
                                : (size_t)b->s->lightning.n_head * b->s->lightning.head_dim;
}

static inline size_t fg_ref_kv_width(const struct fg_ref_model_block *b)
{
    return (size_t)b->s->heads.n_head_kv * b->s->heads.head_dim;
}

/* A row of the products that a mixer's q, k, v and gates come from. */
static inline size_t fg_ref_row_width(const struct fg_ref_model_block *b)
{
    if (fg_ref_is_delta(b))
        return 2 * b->s->delta.n_head_k * b->s->delta.head_dim + 2 * fg_ref_heads_width(b) +
               2 * b->s->delta.n_head_v;
    return (fg_ref_is_softmax(b) ? 2 : 3) * fg_ref_heads_width(b);
}

/* model_open.c: the tensors and rows of block i, and what a batch takes. FG_ENOMEM. */
int fg_ref_open_block(struct fg_ref_model *m, uint32_t i);
int fg_ref_make_scratch(struct fg_ref_model *m);
/* All zero when there is none: fg_hparams_init() has seen to those that the layer uses. */
struct fg_ref_matrix fg_ref_model_matrix(const struct fg_ref_model *m, int64_t layer,
                                         const char *name);
const float *fg_ref_model_vector(const struct fg_ref_model *m, int64_t layer, const char *name);
/* model_run.c: up to FG_REF_BATCH tokens; logits of the last n_logits of them. */
void fg_ref_run_batch(struct fg_ref_model *m, const int32_t *tokens, uint32_t n, float *logits,
                      uint32_t n_logits);

#endif
