/* Push constants of short.comp and tail.comp. */
#ifndef FG_SHADERS_CONV_PARAMS_H
#define FG_SHADERS_CONV_PARAMS_H

#include "../lib/rows.h"
#include "../lib/scalars.h"

struct fg_conv_push {
    FG_ABI_U32 row0; /* first fg_chunk_row of this round */
    FG_ABI_U32 channels, taps;
    FG_ABI_U32 ldx, ldy; /* row strides of the products and of the output */
};
FG_SIZE_IS(fg_conv_push, 20)

#endif
