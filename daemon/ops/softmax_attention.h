/* Softmax attention of rotated queries over the pages of stored keys and values. */
#ifndef FG_OPS_SOFTMAX_ATTENTION_H
#define FG_OPS_SOFTMAX_ATTENTION_H

#include "ops.h"
#include "rope_kv.h"
#include "step_tables.h"
#include "view.h"

struct fg_softmax_attention {
    const struct fg_heads *heads;
    struct fg_buffer *rotated, *kv; /* see rope_kv.h */
    struct fg_view out;             /* [tokens][n_head * head_dim] */
    float scale;                    /* of scores */
    uint32_t window;                /* keys of a token, its own the last; 0: all before it */
    struct fg_buffer *sinks;        /* [n_head] one more score of each head, of no value; or NULL */
    struct fg_buffer *partial;      /* results of segments; those that do not fit are not cut */
    const struct fg_step_tables *tables;
    const struct fg_step_shape *shape;
};
/* Ends with a barrier. */
void fg_record_softmax_attention(struct fg_ops *o, const struct fg_softmax_attention *a);
/* Tokens of one sequence that go into one of the step's groups. */
uint32_t fg_attend_tokens(const struct fg_ops *o);
/* Floats that `partial` takes for one token of a sequence of max_pages pages. */
uint64_t fg_attend_partial(const struct fg_heads *h, uint32_t max_pages);

#endif
