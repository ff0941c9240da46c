/* Push constants of attend.comp, attend_subgroup.comp and combine.comp. */
#ifndef FG_SHADERS_SOFTMAX_ATTENTION_PARAMS_H
#define FG_SHADERS_SOFTMAX_ATTENTION_PARAMS_H

#include "../lib/order.h"
#include "../lib/rows.h"
#include "../lib/scalars.h"

struct fg_attend_push {
    FG_ABI_U32 n_tokens;
    FG_ABI_U32 n_head, n_head_kv, head_dim;
    FG_ABI_U32 ldq, ldo;
    FG_ABI_U32 max_pages;
    FG_ABI_U32 n_segments; /* 0: whole rows at once; else one segment a workgroup, partial results */
    FG_ABI_U32 group0;     /* first row of groups */
    FG_ABI_F32 scale;
    FG_ABI_U32 window; /* keys of a token, its own the last; FG_C_NO_WINDOW: all before it */
    FG_ABI_U32 sinks;  /* 1: each head has a sink */
};
FG_SIZE_IS(fg_attend_push, 48)

struct fg_merge_push {
    FG_ABI_U32 n_tokens, n_head, head_dim, ldo, n_segments;
    FG_ABI_U32 window, sinks;
};
FG_SIZE_IS(fg_merge_push, 28)

/* Above every position, and below every difference of a position and a later one, which wraps. */
#define FG_C_NO_WINDOW 0x7fffffffu

#endif
