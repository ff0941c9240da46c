/* The layers of a step whose tables are filled, and those tables. */
#ifndef FG_FORWARD_H
#define FG_FORWARD_H

#include "base/block_tokens.h"
#include "engine.h"
#include "ops/step_tables.h"

enum { FG_STEP_ROUNDS = 4096 / FG_BLOCK_TOKENS + 3 };

/* Rows of the head that a span wants. */
static inline uint32_t fg_span_wants(const struct fg_step_span *p)
{
    return p->n_best ? 1 : p->n_logits;
}

/* step_tables.c: fills the tables of a step of n spans. row_of: [n], each span's first row; rounds:
 * [FG_STEP_ROUNDS], what shape->rounds points to. Pages must have been reserved. */
void fg_step_fill(struct fg_engine *e, const struct fg_step_span *p, uint32_t n, uint32_t *row_of,
                  struct fg_step_round *rounds, struct fg_step_shape *shape);
/* The rows whose logits are wanted, in the order of spans; returns how many. */
uint32_t fg_step_fill_index(struct fg_engine *e, const struct fg_step_span *p, uint32_t n,
                            const uint32_t *row_of);
/* Begins another submission at the end of a layer, where the next one would make it too long;
 * *layers gets the number of layers that the last one has. */
void fg_record_layers(struct fg_engine *e, const struct fg_step_shape *shape, uint32_t *layers);
/* step.c: what is recorded from here on is another submission than the last `layers` layers. */
void fg_step_cut(struct fg_engine *e, uint32_t layers);

#endif
