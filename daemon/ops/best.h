/* The k best of each row of logits, in passes over segments. */
#ifndef FG_OPS_BEST_H
#define FG_OPS_BEST_H

#include "ops.h"
#include "view.h"

enum { FG_BEST_MOST = 64 };

struct fg_best_rows {
    struct fg_view logits;       /* the first k columns are chosen from */
    uint32_t k;                  /* 1..FG_BEST_MOST */
    struct fg_buffer *passes[2]; /* candidates, from pass to pass: fg_best_pairs() a row */
    struct fg_buffer
        *readback; /* gets [logits.rows][k + 1] pairs as sample/best.comp writes them */
};
void fg_record_best(struct fg_ops *o, const struct fg_best_rows *a);
/* Pairs of 8 bytes that a pass makes of n elements, at most. */
uint64_t fg_best_pairs(uint64_t n);

#endif
