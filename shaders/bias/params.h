/* Push constants of bias.comp. */
#ifndef FG_SHADERS_BIAS_PARAMS_H
#define FG_SHADERS_BIAS_PARAMS_H

#include "../lib/scalars.h"

struct fg_bias_push {
    FG_ABI_U32 n, at, ld; /* columns at .. at + n - 1 of rows ld apart */
};
FG_SIZE_IS(fg_bias_push, 12)

#endif
