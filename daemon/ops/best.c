#include "best.h"

#include "shaders/sample/params.h"

uint64_t fg_best_pairs(uint64_t n)
{
    return (n + FG_C_BEST_SEGMENT - 1) / FG_C_BEST_SEGMENT * (FG_BEST_MOST + 1);
}

void fg_record_best(struct fg_ops *o, const struct fg_best_rows *a)
{
    const struct fg_kernel_key key = {.base = "best"};
    struct fg_buffer *from = a->logits.buffer, *to = NULL;
    struct fg_best_push push = {.n = a->logits.k, .k = a->k, .ld_in = a->logits.stride, .first = 1};
    uint32_t segments = 0;

    for (uint32_t pass = 0; segments != 1; pass++) {
        segments = (push.n + FG_C_BEST_SEGMENT - 1) / FG_C_BEST_SEGMENT;
        push.ld_out = segments * (a->k + 1);
        to = a->passes[pass % 2];
        const struct fg_bind binds[] = {{from, 0, 0}, {to, 0, 0}};
        fg_ops_dispatch(o, &key,
                        &(struct fg_ops_call){.binds = binds,
                                              .n_binds = 2,
                                              .push = &push,
                                              .push_bytes = sizeof push,
                                              .groups = {segments, a->logits.rows, 1}});
        fg_cmd_barrier(o->cmd);
        from = to;
        push.n = push.ld_in = push.ld_out;
        push.first = 0;
    }
    fg_cmd_copy(o->cmd, to, 0, a->readback, 0, (uint64_t)a->logits.rows * (a->k + 1) * 8);
}
