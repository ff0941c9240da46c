/* Push constants of rmsnorm.comp, part.comp and add.comp. */
#ifndef FG_SHADERS_NORM_PARAMS_H
#define FG_SHADERS_NORM_PARAMS_H

#include "../lib/order.h"
#include "../lib/scalars.h"

struct fg_norm_push {
    FG_ABI_U32 n_rows, n; /* n elements a row */
    FG_ABI_U32 ldx, ldy;
    FG_ABI_U32 gather; /* 1: row i of y comes from row index[i] of x */
    FG_ABI_F32 inv_n, eps;
};
FG_SIZE_IS(fg_norm_push, 28)

struct fg_norm_part_push {
    FG_ABI_U32 at, n, ld; /* columns at .. at + n - 1 of rows ld apart */
    FG_ABI_F32 inv_n, eps;
};
FG_SIZE_IS(fg_norm_part_push, 20)

struct fg_norm_add_push {
    FG_ABI_U32 n, ld;
    FG_ABI_F32 alpha, inv_n, eps;
};
FG_SIZE_IS(fg_norm_add_push, 20)

#endif
