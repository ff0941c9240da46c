#include "head_gate.h"

#include "shaders/rope/params.h"

void fg_record_head_gate(struct fg_ops *o, const struct fg_heads *heads, struct fg_view qkv,
                         struct fg_view x)
{
    const struct fg_kernel_key key = {.base = "head_gate"};
    struct fg_head_gate_push push = {
        .n = x.k, .head_dim = heads->head_dim, .ldq = qkv.stride, .ldx = x.stride};
    const struct fg_bind binds[] = {{qkv.buffer, 0, 0}, {x.buffer, 0, 0}};

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 2,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(x.k + 63) / 64, x.rows, 1}});
    fg_cmd_barrier(o->cmd);
}
