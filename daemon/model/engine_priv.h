/* What the files behind engine.h share. */
#ifndef FG_ENGINE_PRIV_H
#define FG_ENGINE_PRIV_H

#include "base/block_tokens.h"
#include "engine.h"
#include "gpu/command.h"
#include "model/blocks/activations.h"
#include "model/blocks/memory.h"
#include "ops/matmul.h"
#include "ops/ops.h"
#include "ops/step_tables.h"
#include "plan.h"
#include "self_test.h"
#include "transfer.h"
#include "weights.h"

/* Of a step; strides in floats, multiples of 32. */
struct fg_scratch {
    struct fg_activations a;
    struct fg_buffer *last, *logits; /* [FG_HEAD_ROWS] */
    struct fg_buffer *readback;      /* host */
    struct fg_buffer *best[2];       /* candidates of each row, from pass to pass */
    struct fg_buffer *best_readback; /* host: [FG_HEAD_ROWS][FG_BEST_MOST + 1] pairs */
    struct fg_step_tables tables;    /* host, written a step */
    uint32_t ld_embd;
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
    uint32_t max_pages;
    struct fg_matrix embd, head; /* head: empty when tied */
    struct fg_buffer *output_norm;
    struct fg_block *blocks; /* [hp.n_blocks] */
    struct fg_memory memory;
    struct fg_err tune_note;
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

enum { FG_STEP_ROUNDS = 4096 / FG_BLOCK_TOKENS + 3 };
/* The rows whose logits are wanted, in the order of pieces; returns how many. */
uint32_t fg_step_fill_index(struct fg_engine *e, const struct fg_step_span *p, uint32_t n,
                            const uint32_t *row_of);
/* Rows of the head that a piece wants. */
static inline uint32_t fg_span_wants(const struct fg_step_span *p)
{
    return p->n_best ? 1 : p->n_logits;
}
/* step_tables.c: fills the tables of a step of n pieces. row_of: [n], each piece's first row;
 * rounds: [FG_STEP_ROUNDS], what shape->rounds points to. Pages must have been reserved. */
void fg_step_fill(struct fg_engine *e, const struct fg_step_span *p, uint32_t n, uint32_t *row_of,
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

/* --- load.c --- */

/* Uploads everything that the model's layers and the head need. */
int fg_weights_load(struct fg_engine *e, void (*progress)(void *ctx, uint64_t done, uint64_t all),
                    void *progress_ctx, struct fg_err *err);
/* Adds the bytes of the same tensors on a device of limits d to p->weight_bytes and p->types. */
int fg_weights_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_gguf *g,
                    const struct fg_device_info *d, struct fg_err *err);

/* --- scratch.c --- */

/* Cuts p->opt.n_batch to what bindings hold, and sets the bytes of scratch. */
int fg_scratch_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_device_info *d,
                    struct fg_err *err);
/* Creates the buffers of e->plan. */
int fg_scratch_init(struct fg_engine *e, struct fg_err *err);
void fg_scratch_finish(struct fg_scratch *s);

#endif
