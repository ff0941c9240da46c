#include "bias.h"

#include "shaders/bias/params.h"

void fg_record_bias(struct fg_ops *o, struct fg_view x, struct fg_buffer *b, uint32_t at,
                    uint32_t n)
{
    const struct fg_kernel_key key = {.base = "bias"};
    struct fg_bias_push push = {.n = n, .at = at, .ld = x.stride};
    const struct fg_bind binds[] = {{x.buffer, 0, 0}, {b, 0, 0}};

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 2,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(n + 63) / 64, x.rows, 1}});
}

void fg_record_expert_bias(struct fg_ops *o, struct fg_view x, struct fg_buffer *b,
                           struct fg_buffer *experts)
{
    const struct fg_kernel_key key = {.base = "bias.experts"};
    struct fg_bias_push push = {.n = x.k, .at = 0, .ld = x.stride};
    const struct fg_bind binds[] = {{x.buffer, 0, 0}, {b, 0, 0}, {experts, 0, 0}};

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 3,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(x.k + 63) / 64, x.rows, 1}});
}
