/* Rows of a step's tables, which several operations read. */
#ifndef FG_SHADERS_LIB_ROWS_H
#define FG_SHADERS_LIB_ROWS_H

#include "scalars.h"

/* One token of a step. */
struct fg_token_row {
    FG_ABI_U32 id;   /* vocabulary id */
    FG_ABI_U32 pos;  /* absolute position */
    FG_ABI_U32 seq;  /* row of the page table, slot of the lightning state */
    FG_ABI_U32 pad;
};
FG_SIZE_IS(fg_token_row, 16)

/* One run of tokens of one sequence inside one chunk, for lightning attention. */
struct fg_chunk_row {
    FG_ABI_U32 token; /* first row of the step */
    FG_ABI_U32 n;     /* tokens, 1..64 */
    FG_ABI_U32 first; /* position of the first inside its chunk */
    FG_ABI_U32 seq;   /* state slot */
};
FG_SIZE_IS(fg_chunk_row, 16)

#endif
