/* Push constants of the shaders of this folder. */
#ifndef FG_SHADERS_MOE_PARAMS_H
#define FG_SHADERS_MOE_PARAMS_H

#include "../lib/order.h"
#include "../lib/scalars.h"

struct fg_route_push {
    FG_ABI_U32 n_tokens, n_expert, n_used, ld;
};
FG_SIZE_IS(fg_route_push, 16)

struct fg_group_push {
    FG_ABI_U32 n_pairs, n_expert, tile_tokens;
};
FG_SIZE_IS(fg_group_push, 12)

struct fg_combine_push {
    FG_ABI_U32 n_tokens, n, n_used, ldy, ldr, ldx;
    FG_ABI_F32 alpha;
};
FG_SIZE_IS(fg_combine_push, 28)

struct fg_combine_norm_push {
    FG_ABI_U32 n_tokens, n, n_used, ld;
    FG_ABI_F32 alpha, inv_n, eps;
};
FG_SIZE_IS(fg_combine_norm_push, 28)

#endif
