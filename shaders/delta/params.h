/* Push constants of the shaders of the gated delta rule, of which some lie in ../lightning. */
#ifndef FG_SHADERS_DELTA_PARAMS_H
#define FG_SHADERS_DELTA_PARAMS_H

#include "../lib/order.h"
#include "../lib/rows.h"
#include "../lib/scalars.h"

struct fg_delta_push {
    FG_ABI_U32 row0;     /* first fg_chunk_row of this round */
    FG_ABI_U32 n_head_k; /* heads of q and k, and of v: head p takes q and k of p % n_head_k */
    FG_ABI_U32 n_head;
    FG_ABI_U32 head_dim;
    FG_ABI_U32 ldx;      /* row stride of the products */
    FG_ABI_U32 ldo;      /* row stride of the output */
    FG_ABI_U32 taps;     /* of the short convolution */
    FG_ABI_F32 scale;    /* of q */
};
FG_SIZE_IS(fg_delta_push, 32)

struct fg_delta_gate_push {
    FG_ABI_U32 n_head, head_dim, ldo, ldx, gate_at, ldy; /* gate_at: column of the first gate in x */
    FG_ABI_F32 inv_n, eps;
};
FG_SIZE_IS(fg_delta_gate_push, 32)

#endif
