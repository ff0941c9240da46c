/* Push constants of embed.comp. */
#ifndef FG_SHADERS_EMBED_PARAMS_H
#define FG_SHADERS_EMBED_PARAMS_H

#include "../lib/order.h"
#include "../lib/rows.h"
#include "../lib/scalars.h"

struct fg_embed_push {
    FG_ABI_U32 n_tokens;
    FG_ABI_U32 k, ldy;
    FG_ABI_U32 n_blocks, scale_at;
    FG_ABI_U32 row0, n_rows; /* vocabulary rows of this part */
    FG_ABI_F32 scale;        /* of every element, rounded for itself; 1 changes none */
};
FG_SIZE_IS(fg_embed_push, 32)

#endif
