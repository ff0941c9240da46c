#include "swiglu.h"

#include "shaders/ffn/params.h"

void fg_record_swiglu(struct fg_ops *o, enum fg_ffn_gate kind, struct fg_view gate,
                      struct fg_view up)
{
    static const char *const names[] = {"swiglu", "swiglu.gelu", "swiglu.clamped"};
    const struct fg_kernel_key key = {.base = names[kind]};
    struct fg_swiglu_push push = {.n_rows = gate.rows, .n = gate.k, .ld = gate.stride};
    const struct fg_bind binds[] = {{gate.buffer, 0, 0}, {up.buffer, 0, 0}};

    if (gate.stride != up.stride)
        fg_ops_refuse(o, "swiglu", "gate and up are of two strides");
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 2,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(gate.k + 63) / 64, gate.rows, 1}});
    fg_cmd_barrier(o->cmd);
}
