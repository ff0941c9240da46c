/* Push constants of rope_kv.comp and head_gate.comp. */
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

/* Of the variants for heads with gates or norms. */
struct fg_rope_heads_push {
#ifdef VULKAN
    fg_rope_push rope;
#else
    struct fg_rope_push rope;
#endif
    FG_ABI_U32 q_step;     /* from a head of q to the next: head_dim, or twice that */
    FG_ABI_U32 normed;     /* 1: RMS norms on each head of q and k */
    FG_ABI_F32 inv_n, eps; /* of those norms */
};
FG_SIZE_IS(fg_rope_heads_push, 48)

struct fg_head_gate_push {
    FG_ABI_U32 n, head_dim; /* n: of all heads */
    FG_ABI_U32 ldq, ldx;
};
FG_SIZE_IS(fg_head_gate_push, 16)

#endif
