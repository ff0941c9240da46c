#include "short_conv.h"

#include "base/block_tokens.h"
#include "shaders/conv/params.h"

/* The runs of one round; the next one's begin with the tails that these leave. */
static void record_round(struct fg_ops *o, const struct fg_short_conv *a,
                         const struct fg_step_round *r)
{
    const struct fg_kernel_key conv = {.base = "short_conv"}, tail = {.base = "short_conv_tail"};
    const struct fg_conv_push push = {.row0 = r->row0,
                                      .channels = a->channels,
                                      .taps = a->taps,
                                      .ldx = a->rows.stride,
                                      .ldy = a->out.stride};
    const struct fg_bind conv_binds[] = {{a->rows.buffer, 0, 0},
                                         {a->tail, 0, 0},
                                         {a->w, 0, 0},
                                         {a->out.buffer, 0, 0},
                                         {a->tables->chunks, 0, 0}};
    const struct fg_bind tail_binds[] = {
        {a->rows.buffer, 0, 0}, {a->tail, 0, 0}, {a->tables->chunks, 0, 0}};
    uint32_t groups = (a->channels + 63) / 64;
    uint32_t most = a->step->n_single == a->step->n_tokens ? 1 : FG_BLOCK_TOKENS;

    fg_ops_dispatch(o, &conv,
                    &(struct fg_ops_call){.binds = conv_binds,
                                          .n_binds = 5,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {groups, most, r->n_rows}});
    fg_cmd_barrier(o->cmd);
    fg_ops_dispatch(o, &tail,
                    &(struct fg_ops_call){.binds = tail_binds,
                                          .n_binds = 3,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {groups, r->n_rows, 1}});
    fg_cmd_barrier(o->cmd);
}

void fg_record_short_conv(struct fg_ops *o, const struct fg_short_conv *a)
{
    for (uint32_t i = 0; i < a->step->n_rounds; i++)
        record_round(o, a, &a->step->rounds[i]);
}
