/* Push constants of rope_kv.comp. */
#ifndef FG_SHADERS_ROPE_PARAMS_H
#define FG_SHADERS_ROPE_PARAMS_H

#include "../lib/order.h"
#include "../lib/rows.h"
#include "../lib/scalars.h"

struct fg_rope_push {
    FG_ABI_U32 n_tokens;
    FG_ABI_U32 n_head, n_head_kv, head_dim, rope_dim;
    FG_ABI_U32 neox;
    FG_ABI_U32 ld;         /* row stride of qkv */
    FG_ABI_U32 max_pages;  /* row length of the page table */
};
FG_SIZE_IS(fg_rope_push, 32)

#endif
