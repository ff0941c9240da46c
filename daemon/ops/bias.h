/* x[at + i] = x[at + i] + b[i], i < n, in each row. */
#ifndef FG_OPS_BIAS_H
#define FG_OPS_BIAS_H

#include "ops.h"
#include "view.h"

/* b: [n] */
void fg_record_bias(struct fg_ops *o, struct fg_view x, struct fg_buffer *b, uint32_t at,
                    uint32_t n);

/* x[pair] = x[pair] + the row of b of the pair's expert. b: [n_expert][x.k] */
void fg_record_expert_bias(struct fg_ops *o, struct fg_view x, struct fg_buffer *b,
                           struct fg_buffer *experts);

#endif
