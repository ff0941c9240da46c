/* Blocks of 32 weights as a matrix product multiplies them (docs/numerics.md, "Weights"). */
#ifndef FG_REF_WEIGHTS_H
#define FG_REF_WEIGHTS_H

#include "ops.h"

/* How a block's sum becomes a part of its slice. */
enum fg_ref_form {
    FG_REF_PLAIN,   /* s */
    FG_REF_SCALED,  /* d * s */
    FG_REF_MINIMUM, /* d * s + m * (sum of x) */
    FG_REF_MINIMA,  /* d * s + m * (sum of min[k] * x[k]) */
};

struct fg_ref_block {
    float q[FG_REF_BLOCK];
    float min[FG_REF_BLOCK]; /* 0 but in FG_REF_MINIMA */
    float d, m;              /* 1 and 0 where the form has none */
};

enum fg_ref_form fg_ref_form(enum fg_dtype type);
/* Block b of a row of k elements; q is 0 past k. */
void fg_ref_load_block(enum fg_dtype type, const unsigned char *row, size_t k, size_t b,
                       struct fg_ref_block *out);

#endif
