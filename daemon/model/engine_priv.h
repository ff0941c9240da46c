/* What the files behind engine.h share. */
#ifndef FG_ENGINE_PRIV_H
#define FG_ENGINE_PRIV_H

#include "engine.h"
#include "gpu/command.h"
#include "ops/matmul.h"
#include "ops/ops.h"
#include "ops/rope_kv.h"
#include "ops/step_tables.h"
#include "ops/view.h"
#include "plan.h"
#include "self_test.h"
#include "transfer.h"
#include "weights.h"

#include "shaders/abi/params.h"

/* Weights of one layer; what the family lacks stays empty. */
struct fg_layer {
    bool recurrent;
    uint32_t kind_index; /* index among the layers of its kind */
    struct fg_buffer *attn_norm, *ffn_norm, *attn_norm_2;
    struct fg_matrix qkv[3]; /* one, or of softmax attention what its types and tiles need */
    struct fg_matrix gate;   /* lightning */
    struct fg_matrix output; /* of attention */
    struct fg_matrix router; /* MoE */
    struct fg_matrix ffn_gate, ffn_up, ffn_down;       /* ffn_gate is gated, or there is ffn_up */
    struct fg_buffer *kv;                              /* softmax: [n_pages] pages */
    struct fg_buffer *state, *k_rows, *v_rows, *decay; /* lightning: [n_seq] slots */
};

/* Activations and step tables, rows of n_batch tokens; strides in floats, multiples of 32. */
struct fg_scratch {
    struct fg_buffer *x, *n, *qkv, *rotated, *attn, *gate;
    struct fg_buffer *gated, *ff_gate, *ff_up, *ff_down, *router;
    struct fg_quantized_room quantized; /* of the mode int8 */
    struct fg_buffer *experts, *expert_weights, *pairs, *pair_tiles;
    struct fg_buffer *partial;       /* segments of softmax attention */
    struct fg_buffer *last, *logits; /* [FG_HEAD_ROWS] */
    struct fg_buffer *readback;      /* host */
    struct fg_buffer *best[2];       /* candidates of each row, from pass to pass */
    struct fg_buffer *best_readback; /* host: [FG_HEAD_ROWS][FG_BEST_MOST + 1] pairs */
    struct fg_step_tables tables;
    uint32_t ld_embd, ld_qkv, ld_heads, ld_ff, ld_router;
    uint64_t bytes;
};

enum {
    FG_HEAD_ROWS = 64, /* logits rows of one pass of the head */
};

struct fg_seq {
    struct fg_engine *engine;
    uint32_t slot, length;
    uint32_t ahead;   /* tokens of steps that are prepared or submitted, and not finished */
    bool running;     /* in a submitted step */
    bool state_ready; /* the slot's state is the one at the last chunk boundary */
    uint32_t *pages;  /* [max_pages] */
    uint32_t n_pages;
};

enum { FG_STEP_SETS = 2 }; /* step_set.h */

struct fg_engine {
    struct fg_device *device;
    const struct fg_gguf *gguf;
    struct fg_hparams hp;
    struct fg_plan plan;
    struct fg_engine_options opt; /* as the plan settled them */
    uint32_t n_softmax, n_lightning, max_pages;
    uint64_t page_layer_bytes, state_layer_bytes, rows_layer_bytes; /* rows: k or v of one slot */
    struct fg_matrix embd, head;                                    /* head: empty when tied */
    struct fg_buffer *output_norm;
    struct fg_layer *layers;
    struct fg_err tune_note;
    struct fg_heads heads; /* of softmax attention */
    struct fg_ops ops;
    struct fg_scratch s;
    /* Of the last submission with layers: seconds a layer and token; [0] steps of one token. */
    double token_layer_s[2];
    uint64_t n_submissions; /* of steps */
    struct fg_step *steps[FG_STEP_SETS];
    struct fg_step *recording; /* what is being prepared */
    struct fg_step *submitted; /* and not finished */
    struct fg_transfers *transfers;
    struct fg_cmd **copiers; /* [n_copiers] of copies that nobody waits for */
    uint32_t n_copiers;
    struct fg_buffer **saved;     /* [n_states] */
    uint64_t *saved_after;        /* [n_states] submissions that the slot was last copied by */
    double *inv_freq;             /* [rope_dim / 2] */
    uint16_t *page_refs;          /* [n_pages] */
    uint32_t *free_pages, n_free; /* a stack */
    bool *slot_used;              /* [n_seq] */
    struct fg_self_test self_test;
    uint64_t weight_bytes, kv_bytes, seq_bytes;
};

/* n_choices of the options, or the vocabulary. */
uint32_t fg_best_choices(const struct fg_engine *e);

/* --- forward.c: the layers of a step whose tables are filled --- */

enum { FG_STEP_ROUNDS = 4096 / FG_CHUNK + 3 };
/* The rows whose logits are wanted, in the order of pieces; returns how many. */
uint32_t fg_step_fill_index(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n,
                            const uint32_t *row_of);
/* Rows of the head that a piece wants. */
static inline uint32_t fg_piece_wants(const struct fg_step_piece *p)
{
    return p->n_best ? 1 : p->n_logits;
}
/* step_tables.c: fills the tables of a step of n pieces. row_of: [n], each piece's first row;
 * rounds: [FG_STEP_ROUNDS], what shape->rounds points to. Pages must have been reserved. */
void fg_step_fill(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n, uint32_t *row_of,
                  struct fg_step_round *rounds, struct fg_step_shape *shape);
/* sequence.c: makes room for a sequence of `length` tokens. FG_ETOOLONG, FG_EBUSY. */
int fg_seq_reserve(struct fg_seq *s, uint32_t length, struct fg_err *err);
/* Waits for the copies of states that are under way. */
void fg_copiers_finish(struct fg_engine *e);
/* Begins another submission at the end of a layer, where the next one would make it too long;
 * *layers gets the number of layers that the last one has. */
void fg_record_layers(struct fg_engine *e, const struct fg_step_shape *shape, uint32_t *layers);
/* step.c: what is recorded from here on is another submission than the last `layers` layers. */
void fg_step_cut(struct fg_engine *e, uint32_t layers);
/* Parts of it, which end with a barrier. Attention over the pages, of queries that are rotated and
 * keys and values that are stored. */
void fg_record_attend(struct fg_engine *e, const struct fg_layer *l,
                      const struct fg_step_shape *shape);
/* Lightning attention from qkv to its output, and the folding of chunks that are full. */
void fg_record_lightning(struct fg_engine *e, const struct fg_layer *l,
                         const struct fg_step_shape *shape);
/* gated = sigmoid(gate) * rmsnorm(attn), all heads together */
void fg_layer_gate(struct fg_engine *e, const struct fg_layer *l, uint32_t n_tokens);
/* The groups of n_pairs choices of s.experts. */
struct fg_expert_groups fg_step_groups(const struct fg_engine *e, uint32_t n_pairs);

/* --- engine.c --- */

/* An engine of shape hp without weights: layers have their KV pages and states, matrices and norms
 * are empty. For what runs single kernels; steps and the self-test do not run. It takes over hp
 * (and finishes it on failure). Errors of fg_engine_create(). */
int fg_engine_create_bare(const struct fg_engine_options *opt, struct fg_hparams *hp,
                          struct fg_device *dev, struct fg_engine **out, struct fg_err *err);

/* --- load.c --- */

/* Uploads everything that the model's layers and the head need. */
int fg_weights_load(struct fg_engine *e, void (*progress)(void *ctx, uint64_t done, uint64_t all),
                    void *progress_ctx, struct fg_err *err);
/* Adds the bytes of the same tensors on a device of limits d to p->weight_bytes and p->types. */
int fg_weights_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_gguf *g,
                    const struct fg_device_info *d, struct fg_err *err);

/* --- scratch.c, decay.c --- */

/* Cuts p->opt.n_batch to what bindings hold, and sets the bytes of scratch. */
int fg_scratch_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_device_info *d,
                    struct fg_err *err);
/* Creates the buffers of e->plan. */
int fg_scratch_init(struct fg_engine *e, struct fg_err *err);
void fg_scratch_finish(struct fg_scratch *s);
/* lambda^0 .. lambda^64 for each head of layer l: out [n_head][65]. */
void fg_decay_table(const struct fg_hparams *hp, uint32_t layer, float *out);
/* inv_freq[i], i < rope_dim / 2. */
void fg_rope_frequencies(const struct fg_hparams *hp, double *inv_freq);

#endif
