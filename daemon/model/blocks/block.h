/* A block: the mixer or the feed-forward of one layer.
 *
 * A block reads the normed stream of activations and adds to the stream:
 *     n = rmsnorm(x) * norm,  x = alpha * residual + f(n),
 * where the residual is x, or n in models that keep the normed input (post-norm). What a block is
 * made of, it lists: tensors, memory of a sequence, room for activations. A model is a list of
 * blocks (families/hparams.h), and whoever checks, plans, loads, captures or restores walks the
 * lists and knows no kind of block. */
#ifndef FG_BLOCK_H
#define FG_BLOCK_H

#include "activations.h"
#include "memory.h"
#include "ops/delta_rule.h"
#include "ops/matrix.h"
#include "ops/rope_kv.h"
#include "ops/swiglu.h"
#include "tensor_table.h"

struct fg_block;
struct fg_block_kind;

/* Products of softmax attention that a bias is added to. */
enum fg_attention_bias { FG_BIAS_Q = 1, FG_BIAS_K = 2, FG_BIAS_V = 4, FG_BIAS_OUTPUT = 8 };

/* What a block is, before anything of it is loaded. Plain data. */
struct fg_block_shape {
    const struct fg_block_kind *kind;
    uint32_t layer;   /* of the names of its tensors */
    const char *norm; /* the tensor of its input's norm, without "blk.N." and ".weight" */
    uint32_t n_embd;
    float norm_eps;
    float residual_scale; /* alpha */
    bool post_norm;       /* the residual is the normed input */
    bool gated_heads;     /* softmax attention: behind each head of q lies a gate on its output */
    bool normed_heads;    /* softmax attention: RMS norms on each head of q and k */
    bool normed_rows;     /* softmax attention: RMS norms over all heads of q, and of k, together */
    bool local_rope;      /* softmax attention: rotated by the model's second table */
    bool sinks;           /* softmax attention: each head has one more score, of no value */
    uint32_t window;      /* softmax attention: keys of a token, its own the last; 0: all */
    float attend_scale;   /* softmax attention: of scores; 0: 1 / sqrt(head_dim) */
    enum fg_ffn_gate gate; /* feed-forward: what gate and up become */
    const char *post;      /* the tensor of a norm of its result, named as `norm`; NULL: none */
    unsigned biases;       /* softmax attention: bits of enum fg_attention_bias */
    union {
        struct fg_heads heads; /* softmax attention */
        struct {
            uint32_t n_head, head_dim;
            uint32_t index, count; /* the layer, of so many: what the decay depends on */
        } lightning;
        struct fg_delta_shape delta; /* gated delta rule */
        struct {
            uint32_t taps; /* the token's own included */
        } conv;            /* short convolution */
        struct {
            uint32_t n_ff;
        } dense;
        struct {
            uint32_t n_ff, n_expert, n_used;
            uint32_t n_ff_shared; /* of the expert that every token goes to; 0: there is none */
            bool shared_gate;     /* sigmoid of a product with its own row weighs that expert */
            bool biased;          /* router and experts have biases */
            bool biased_choice;   /* experts by sigmoid, chosen by that plus a bias of their own */
            bool fused;           /* gate and up of the experts are one tensor */
        } moe;
    };
};

/* A norm that follows the block, which it may take over. */
struct fg_next_norm {
    struct fg_buffer *w; /* NULL: none is offered */
    float eps;
};

/* What a block is recorded with. */
struct fg_block_run {
    struct fg_ops *ops;
    struct fg_activations *a;
    const struct fg_memory *memory;
    const struct fg_step_tables *tables;
    const struct fg_step_shape *shape;
    struct fg_view n, x; /* the normed input; the stream, in and out */
    struct fg_next_norm next;
};

/* What all blocks of a kind have in common. Functions of a shape alone need no device. */
struct fg_block_kind {
    const char *name; /* "softmax attention" */
    /* The tensors but for the norm. */
    void (*tensors)(const struct fg_block_shape *s, struct fg_tensor_table *t);
    /* What a sequence owns; NULL: nothing. */
    void (*memory)(const struct fg_block_shape *s, enum fg_kv_type kv, struct fg_block_memory *m);
    /* Raises what it needs of the activations. */
    void (*needs)(const struct fg_block_shape *s, struct fg_activation_needs *n);
    /* FG_EUNSUPPORTED: a shape that there are no kernels for. NULL: all are. */
    int (*check)(const struct fg_block_shape *s, struct fg_err *err);
    /* A table of constants that stays on the device: how many floats, and what they are. NULL: it
     * has none. */
    uint64_t (*table_floats)(const struct fg_block_shape *s);
    void (*fill_table)(const struct fg_block_shape *s, float *out);
    /* From r->n and r->x to r->x; ends with a barrier. True: it has taken over r->next, and r->n
     * holds what is normed. */
    bool (*record)(const struct fg_block *b, const struct fg_block_run *r);
};

extern const struct fg_block_kind fg_softmax_attention_block; /* softmax_attention.c */
extern const struct fg_block_kind fg_lightning_block;         /* lightning_attention.c */
extern const struct fg_block_kind fg_delta_rule_block;        /* delta_rule.c */
extern const struct fg_block_kind fg_short_conv_block;        /* short_conv.c */
extern const struct fg_block_kind fg_dense_ffn_block;         /* dense_ffn.c */
extern const struct fg_block_kind fg_moe_block;               /* moe.c */

/* A block on the device. */
struct fg_block {
    struct fg_block_shape shape;
    struct fg_buffer *norm;
    struct fg_matrix matrices[FG_BLOCK_MATRICES]; /* by the slots of its kind's table */
    struct fg_buffer *vectors[FG_BLOCK_VECTORS];
    struct fg_buffer *table; /* of constants, or NULL */
    uint32_t memory_at;      /* its first piece in the list of memory */
};

/* The block's tensors, its norm first. */
void fg_block_tensors(const struct fg_block_shape *s, struct fg_tensor_table *t);
/* The table of its constants, on the device. FG_ENOMEM, FG_EDEVICE, FG_EDEVICELOST. */
int fg_block_make_table(struct fg_block *b, struct fg_ops *ops, struct fg_err *err);
uint64_t fg_block_table_bytes(const struct fg_block_shape *s);
/* Gives back weights and table. */
void fg_block_finish(struct fg_block *b);

/* alpha * residual as the block's products and sums take it. */
struct fg_view fg_block_residual(const struct fg_block *b, const struct fg_block_run *r);
/* The block's piece `i` of the memory. */
struct fg_buffer *fg_block_memory(const struct fg_block *b, const struct fg_block_run *r,
                                  uint32_t i);
/* x = alpha * residual + W in, or alpha * x + the norm of W in, where the block has one. The rows
 * of `in` are quantized where the mode says so. */
void fg_block_project(const struct fg_block *b, const struct fg_block_run *r, uint32_t matrix,
                      struct fg_view in);

#endif
