/* Push constants of swiglu.comp and row_gate.comp. */
#ifndef FG_SHADERS_FFN_PARAMS_H
#define FG_SHADERS_FFN_PARAMS_H

#include "../lib/scalars.h"

struct fg_swiglu_push {
    FG_ABI_U32 n_rows, n, ld;
};
FG_SIZE_IS(fg_swiglu_push, 12)

struct fg_row_gate_push {
    FG_ABI_U32 n, ldx, ldg;
};
FG_SIZE_IS(fg_row_gate_push, 12)

#endif
