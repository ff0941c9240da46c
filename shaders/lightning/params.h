/* Push constants of the shaders of this folder. */
#ifndef FG_SHADERS_LIGHTNING_PARAMS_H
#define FG_SHADERS_LIGHTNING_PARAMS_H

#include "../lib/order.h"
#include "../lib/rows.h"
#include "../lib/scalars.h"

struct fg_lightning_push {
    FG_ABI_U32 row0; /* first fg_chunk_row of this round */
    FG_ABI_U32 n_head, head_dim;
    FG_ABI_U32 ldx;  /* row stride of qkv */
    FG_ABI_U32 ldo;  /* row stride of the output */
};
FG_SIZE_IS(fg_lightning_push, 20)

struct fg_gate_push {
    FG_ABI_U32 n_tokens, n, ldo, ldg, ldy;
    FG_ABI_F32 inv_n, eps;
};
FG_SIZE_IS(fg_gate_push, 28)

#endif
