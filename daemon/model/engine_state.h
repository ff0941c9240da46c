/* The engine as its files see it, put together from what each of them has. */
#ifndef FG_ENGINE_STATE_H
#define FG_ENGINE_STATE_H

#include "engine.h"
#include "model/blocks/memory.h"
#include "ops/ops.h"
#include "plan.h"
#include "scratch.h"
#include "self_test.h"
#include "transfer.h"
#include "weights.h"

struct fg_block;

enum { FG_STEP_SETS = 2 /* step_set.h */ };

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
    double *inv_freq_local;       /* the same of the second table */
    double rope_magnitude;        /* of cos and sin of the first */
    uint16_t *page_refs;          /* [n_pages] */
    uint32_t *free_pages, n_free; /* a stack */
    bool *slot_used;              /* [n_seq] */
    struct fg_self_test self_test;
    uint64_t weight_bytes, kv_bytes, seq_bytes;
};

/* n_choices of the options, or the vocabulary. */
uint32_t fg_best_choices(const struct fg_engine *e);

#endif
