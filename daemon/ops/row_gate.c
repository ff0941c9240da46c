#include "row_gate.h"

#include "shaders/ffn/params.h"

void fg_record_row_gate(struct fg_ops *o, struct fg_view x, struct fg_view gate)
{
    const struct fg_kernel_key key = {.base = "row_gate"};
    struct fg_row_gate_push push = {.n = x.k, .ldx = x.stride, .ldg = gate.stride};
    const struct fg_bind binds[] = {{x.buffer, 0, 0}, {gate.buffer, 0, 0}};

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 2,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(x.k + 63) / 64, x.rows, 1}});
    fg_cmd_barrier(o->cmd);
}
