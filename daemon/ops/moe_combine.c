#include "moe.h"

#include "shaders/moe/params.h"

void fg_record_moe_combine(struct fg_ops *o, const struct fg_moe_combine *a)
{
    const struct fg_kernel_key key = {.base = "moe_combine"};
    struct fg_combine_push push = {.n_tokens = a->x.rows,
                                   .n = a->x.k,
                                   .n_used = a->n_used,
                                   .ldy = a->y.stride,
                                   .ldr = a->residual.stride,
                                   .ldx = a->x.stride,
                                   .alpha = a->alpha};
    const struct fg_bind binds[] = {
        {a->y.buffer, 0, 0}, {a->weights, 0, 0}, {a->residual.buffer, 0, 0}, {a->x.buffer, 0, 0}};
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 4,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(a->x.k + 63) / 64, a->x.rows, 1}});
    fg_cmd_barrier(o->cmd);
}

void fg_record_moe_combine_norm(struct fg_ops *o, const struct fg_moe_combine *a,
                                struct fg_buffer *norm, float eps)
{
    const struct fg_kernel_key key = {.base = "moe_combine_norm"};
    struct fg_combine_norm_push push = {.n_tokens = a->x.rows,
                                        .n = a->x.k,
                                        .n_used = a->n_used,
                                        .ld = a->x.stride,
                                        .alpha = a->alpha,
                                        .inv_n = (float)(1.0 / a->x.k),
                                        .eps = eps};
    const struct fg_bind binds[] = {{a->y.buffer, 0, 0},
                                    {a->weights, 0, 0},
                                    {a->residual.buffer, 0, 0},
                                    {a->x.buffer, 0, 0},
                                    {norm, 0, 0}};
    if (a->y.stride != a->x.stride || a->residual.stride != a->x.stride ||
        a->residual.buffer == a->x.buffer)
        fg_ops_refuse(o, "moe_combine_norm", "views of several strides, or the residual is x");
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 5,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {a->x.rows, 1, 1}});
    fg_cmd_barrier(o->cmd);
}
