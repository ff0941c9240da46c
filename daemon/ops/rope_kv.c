#include "rope_kv.h"

#include "shaders/rope/params.h"

void fg_record_rope_kv(struct fg_ops *o, const struct fg_rope_kv *a)
{
    const struct fg_heads *h = a->heads;
    const struct fg_kernel_key key = {.base =
                                          o->kv_type == FG_KV_F16 ? "rope_kv.f16" : "rope_kv.f32"};
    struct fg_rope_push push = {.n_tokens = a->qkv.rows,
                                .n_head = h->n_head,
                                .n_head_kv = h->n_head_kv,
                                .head_dim = h->head_dim,
                                .rope_dim = h->rope_dim,
                                .neox = h->neox,
                                .ld = a->qkv.stride,
                                .max_pages = a->tables->max_pages};
    const struct fg_bind binds[] = {{a->qkv.buffer, 0, 0},   {a->rotated, 0, 0},
                                    {a->kv, 0, 0},           {a->tables->tokens, 0, 0},
                                    {a->tables->rope, 0, 0}, {a->tables->table, 0, 0}};
    uint32_t lanes = (h->n_head + 2 * h->n_head_kv) * (h->head_dim / 8);

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 6,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(lanes + 31) / 32, a->qkv.rows, 1}});
}
