/* The buffers of a step: what its layers, its head and its tables need on the device. */
#ifndef FG_SCRATCH_H
#define FG_SCRATCH_H

#include "gpu/buffer.h"
#include "model/blocks/activations.h"
#include "ops/step_tables.h"
#include "plan.h"

struct fg_engine;

enum { FG_HEAD_ROWS = 64 /* logits rows of one pass of the head */ };

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

/* Cuts p->opt.n_batch to what bindings hold, and sets the bytes of scratch. FG_EUNSUPPORTED. */
int fg_scratch_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_device_info *d,
                    struct fg_err *err);
/* Creates the buffers of e->plan, in e->s. FG_ENOMEM, FG_EDEVICE. */
int fg_scratch_init(struct fg_engine *e, struct fg_err *err);
void fg_scratch_finish(struct fg_scratch *s);

#endif
