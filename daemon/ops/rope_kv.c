#include "rope_kv.h"

#include "shaders/rope/params.h"

/* For plain heads, and for those with gates or norms. */
static struct fg_kernel_key kernel_for(const struct fg_ops *o, bool plain)
{
    bool f16 = o->kv_type == FG_KV_F16;

    if (plain)
        return (struct fg_kernel_key){.base = f16 ? "rope_kv.f16" : "rope_kv.f32"};
    return (struct fg_kernel_key){.base = f16 ? "rope_kv.f16.heads" : "rope_kv.f32.heads"};
}

void fg_record_rope_kv(struct fg_ops *o, const struct fg_rope_kv *a)
{
    const struct fg_heads *h = a->heads;
    bool plain = !a->gated && !a->q_norm;
    const struct fg_kernel_key key = kernel_for(o, plain);
    const struct fg_rope_heads_push push = {.rope = {.n_tokens = a->qkv.rows,
                                                     .n_head = h->n_head,
                                                     .n_head_kv = h->n_head_kv,
                                                     .head_dim = h->head_dim,
                                                     .rope_dim = h->rope_dim,
                                                     .neox = h->neox,
                                                     .ld = a->qkv.stride,
                                                     .max_pages = a->tables->max_pages},
                                            .q_step = h->head_dim << a->gated,
                                            .normed = a->q_norm != NULL,
                                            .inv_n = (float)(1.0 / h->head_dim),
                                            .eps = a->eps};
    /* Without norms anything may stand for their weights. */
    const struct fg_bind binds[] = {{a->qkv.buffer, 0, 0},
                                    {a->rotated, 0, 0},
                                    {a->kv, 0, 0},
                                    {a->tables->tokens, 0, 0},
                                    {a->angles, 0, 0},
                                    {a->tables->table, 0, 0},
                                    {a->q_norm ? a->q_norm : a->tables->tokens, 0, 0},
                                    {a->q_norm ? a->k_norm : a->tables->tokens, 0, 0}};
    uint32_t lanes = (h->n_head + 2 * h->n_head_kv) * (h->head_dim / 8);

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = plain ? 6 : 8,
                                          .push = &push,
                                          .push_bytes = plain ? sizeof push.rope : sizeof push,
                                          .groups = {(lanes + 31) / 32, a->qkv.rows, 1}});
}
