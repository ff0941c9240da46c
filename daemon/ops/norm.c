#include "norm.h"

#include "shaders/norm/params.h"

void fg_record_norm(struct fg_ops *o, const struct fg_norm *a)
{
    const struct fg_kernel_key key = {.base = "rmsnorm"};
    struct fg_norm_push push = {.n_rows = a->y.rows,
                                .n = a->y.k,
                                .ldx = a->x.stride,
                                .ldy = a->y.stride,
                                .gather = a->index != NULL,
                                .inv_n = (float)(1.0 / a->y.k),
                                .eps = a->eps};
    const struct fg_bind binds[] = {
        {a->x.buffer, 0, 0},
        {a->w, 0, 0},
        {a->y.buffer, 0, 0},
        {a->index ? a->index : a->w, a->index ? (uint64_t)a->index_at * 4 : 0, 0}};

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 4,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {a->y.rows, 1, 1}});
}

void fg_record_norm_part(struct fg_ops *o, const struct fg_norm_part *a)
{
    const struct fg_kernel_key key = {.base = "rmsnorm_part"};
    struct fg_norm_part_push push = {
        .at = a->at, .n = a->n, .ld = a->x.stride, .inv_n = (float)(1.0 / a->n), .eps = a->eps};
    const struct fg_bind binds[] = {{a->x.buffer, 0, 0}, {a->w, 0, 0}};

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 2,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {a->x.rows, 1, 1}});
}

void fg_record_norm_add(struct fg_ops *o, const struct fg_norm_add *a)
{
    const struct fg_kernel_key key = {.base = "rmsnorm_add"};
    struct fg_norm_add_push push = {.n = a->x.k,
                                    .ld = a->x.stride,
                                    .alpha = a->alpha,
                                    .inv_n = (float)(1.0 / a->x.k),
                                    .eps = a->eps};
    const struct fg_bind binds[] = {{a->n.buffer, 0, 0}, {a->w, 0, 0}, {a->x.buffer, 0, 0}};

    if (a->n.stride != a->x.stride)
        fg_ops_refuse(o, "rmsnorm_add", "the two are of two strides");
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 3,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {a->x.rows, 1, 1}});
}
