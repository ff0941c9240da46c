/* Push constants of best.comp. */
#ifndef FG_SHADERS_SAMPLE_PARAMS_H
#define FG_SHADERS_SAMPLE_PARAMS_H

#include "../lib/scalars.h"

/* Elements that a workgroup of sample/best.comp takes; no sum depends on it. */
#define FG_C_BEST_SEGMENT 1024u

struct fg_best_push {
    FG_ABI_U32 n;             /* elements of a row */
    FG_ABI_U32 k;             /* how many are wanted */
    FG_ABI_U32 ld_in, ld_out; /* row strides: in elements, in pairs */
    FG_ABI_U32 first;         /* 1: elements are f32, else pairs */
};
FG_SIZE_IS(fg_best_push, 20)

#endif
