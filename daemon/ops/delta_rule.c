#include "delta_rule.h"

#include <math.h>
#include <stdio.h>

#include "lightning_attention.h"
#include "shaders/delta/params.h"

enum {
    TOKENS = 4,     /* of one chunk that share its rows in a workgroup */
    ROW_TOKENS = 8, /* whose rows are made in a workgroup */
};

/* variant: tokens of a group. */
static void write_system(const struct fg_kernel_key *k, char name[FG_KERNEL_NAME])
{
    snprintf(name, FG_KERNEL_NAME, "delta_system.t%u.sg8.tex", k->variant);
}

static void write_attend(const struct fg_kernel_key *k, char name[FG_KERNEL_NAME])
{
    snprintf(name, FG_KERNEL_NAME, "delta_attend.t%u.sg8.tex", k->variant);
}

/* One of the two kernels that sum over a chunk's rows. */
static struct fg_kernel_key sum_kernel(const struct fg_ops *o, bool system, uint32_t head_dim,
                                       uint32_t tokens)
{
    struct fg_kernel_key key = {.base = system ? "delta_system" : "delta_attend",
                                .spec = {tokens, 0, head_dim, 0, 0}};
    if (fg_lightning_by_lanes(o)) {
        key.write_name = system ? write_system : write_attend;
        key.variant = tokens;
        key.spec[0] = 0;
    }
    return key;
}

/* A run's tokens of a round: how many at most, and how many a workgroup takes. */
struct round {
    const struct fg_step_round *rows;
    uint32_t most, tokens;
    struct fg_delta_push push;
};

/* q, k and v behind the convolution and their norms, and the gates of each token. */
static void record_rows(struct fg_ops *o, const struct fg_delta_rule *a, const struct round *r)
{
    const struct fg_delta_shape *s = &a->shape;
    uint32_t tokens = r->most == 1 ? 1 : ROW_TOKENS;
    const struct fg_kernel_key rows = {.base = fg_lightning_by_lanes(o) ? "delta_rows.sg8"
                                                                        : "delta_rows",
                                       .spec = {tokens, s->taps}};
    const struct fg_kernel_key gates = {.base = "delta_gates"};
    const struct fg_bind row_binds[] = {
        {a->rows.buffer, 0, 0}, {a->tail, 0, 0}, {a->taps, 0, 0},          {a->q, 0, 0},
        {a->k_rows, 0, 0},      {a->v, 0, 0},    {a->tables->chunks, 0, 0}};
    const struct fg_bind gate_binds[] = {{a->rows.buffer, 0, 0}, {a->decay, 0, 0},
                                         {a->bias, 0, 0},        {a->log_decay, 0, 0},
                                         {a->strength, 0, 0},    {a->tables->chunks, 0, 0}};

    fg_ops_dispatch(o, &rows,
                    &(struct fg_ops_call){.binds = row_binds,
                                          .n_binds = 7,
                                          .push = &r->push,
                                          .push_bytes = sizeof r->push,
                                          .groups = {2 * s->n_head_k + s->n_head_v,
                                                     r->most / tokens, r->rows->n_rows}});
    fg_ops_dispatch(o, &gates,
                    &(struct fg_ops_call){.binds = gate_binds,
                                          .n_binds = 6,
                                          .push = &r->push,
                                          .push_bytes = sizeof r->push,
                                          .groups = {s->n_head_v, r->rows->n_rows, 1}});
    fg_cmd_barrier(o->cmd);
}

/* What each token's u takes from the state and from the rows before it; the tail moves on. */
static void record_system(struct fg_ops *o, const struct fg_delta_rule *a, const struct round *r)
{
    const struct fg_delta_shape *s = &a->shape;
    const struct fg_kernel_key system = sum_kernel(o, true, s->head_dim, r->tokens);
    const struct fg_kernel_key tail = {.base = "delta_tail"};
    const struct fg_bind binds[] = {{a->k_rows, 0, 0},    {a->v, 0, 0},
                                    {a->system, 0, 0},    {a->state, 0, 0},
                                    {a->log_decay, 0, 0}, {a->tables->chunks, 0, 0}};
    const struct fg_bind tail_binds[] = {
        {a->rows.buffer, 0, 0}, {a->tail, 0, 0}, {a->tables->chunks, 0, 0}};
    uint32_t channels = fg_delta_channels(s);

    fg_ops_dispatch(
        o, &system,
        &(struct fg_ops_call){
            .binds = binds,
            .n_binds = 6,
            .push = &r->push,
            .push_bytes = sizeof r->push,
            .groups = {s->n_head_v, (r->most + r->tokens - 1) / r->tokens, r->rows->n_rows}});
    fg_ops_dispatch(
        o, &tail,
        &(struct fg_ops_call){.binds = tail_binds,
                              .n_binds = 3,
                              .push = &r->push,
                              .push_bytes = sizeof r->push,
                              .groups = {(channels / 4 + 63) / 64, r->rows->n_rows, 1}});
    fg_cmd_barrier(o->cmd);
}

static void record_solve(struct fg_ops *o, const struct fg_delta_rule *a, const struct round *r)
{
    const struct fg_kernel_key key = {.base = "delta_solve"};
    const struct fg_bind binds[] = {{a->v, 0, 0},
                                    {a->system, 0, 0},
                                    {a->strength, 0, 0},
                                    {a->u_rows, 0, 0},
                                    {a->tables->chunks, 0, 0}};

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 5,
                                          .push = &r->push,
                                          .push_bytes = sizeof r->push,
                                          .groups = {(a->shape.head_dim / 4 + 31) / 32,
                                                     a->shape.n_head_v, r->rows->n_rows}});
    fg_cmd_barrier(o->cmd);
}

static void record_attend(struct fg_ops *o, const struct fg_delta_rule *a, const struct round *r)
{
    const struct fg_kernel_key key = sum_kernel(o, false, a->shape.head_dim, r->tokens);
    const struct fg_bind binds[] = {
        {a->q, 0, 0},         {a->k_rows, 0, 0},         {a->u_rows, 0, 0},    {a->state, 0, 0},
        {a->log_decay, 0, 0}, {a->tables->chunks, 0, 0}, {a->out.buffer, 0, 0}};

    fg_ops_dispatch(
        o, &key,
        &(struct fg_ops_call){
            .binds = binds,
            .n_binds = 7,
            .push = &r->push,
            .push_bytes = sizeof r->push,
            .groups = {a->shape.n_head_v, (r->most + r->tokens - 1) / r->tokens, r->rows->n_rows}});
    fg_cmd_barrier(o->cmd);
}

/* Folds the runs that end their chunk into its state. */
static void record_fold(struct fg_ops *o, const struct fg_delta_rule *a, const struct round *r)
{
    uint32_t d = a->shape.head_dim, groups = (d * (d / 4) + 63) / 64;
    struct fg_kernel_key key = {.base = "delta_fold"};
    const struct fg_bind binds[] = {{a->k_rows, 0, 0},
                                    {a->u_rows, 0, 0},
                                    {a->state, 0, 0},
                                    {a->log_decay, 0, 0},
                                    {a->tables->chunks, 0, 0}};

    if (fg_lightning_by_lanes(o)) {
        key = (struct fg_kernel_key){.base = "delta_fold.sg8.tex", .spec = {[2] = d}};
        groups = d / 4;
    }
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 5,
                                          .push = &r->push,
                                          .push_bytes = sizeof r->push,
                                          .groups = {groups, a->shape.n_head_v, r->rows->n_rows}});
    fg_cmd_barrier(o->cmd);
}

void fg_record_delta_rule(struct fg_ops *o, const struct fg_delta_rule *a)
{
    const struct fg_delta_shape *s = &a->shape;
    bool single = a->step->n_single == a->step->n_tokens;

    for (uint32_t i = 0; i < a->step->n_rounds; i++) {
        const struct round r = {.rows = &a->step->rounds[i],
                                .most = single ? 1 : FG_BLOCK_TOKENS,
                                .tokens = single ? 1 : TOKENS,
                                .push = {.row0 = a->step->rounds[i].row0,
                                         .n_head_k = s->n_head_k,
                                         .n_head = s->n_head_v,
                                         .head_dim = s->head_dim,
                                         .ldx = a->rows.stride,
                                         .ldo = a->out.stride,
                                         .taps = s->taps,
                                         .scale = (float)(1.0 / sqrt((double)s->head_dim))}};
        record_rows(o, a, &r);
        record_system(o, a, &r);
        record_solve(o, a, &r);
        record_attend(o, a, &r);
        if (r.rows->ends_chunk)
            record_fold(o, a, &r);
    }
}

void fg_record_delta_gate(struct fg_ops *o, const struct fg_delta_gate *a)
{
    const struct fg_kernel_key key = {.base = fg_lightning_by_lanes(o) ? "delta_gate.sg8"
                                                                       : "delta_gate"};
    struct fg_delta_gate_push push = {.n_head = a->shape->n_head_v,
                                      .head_dim = a->shape->head_dim,
                                      .ldo = a->x.stride,
                                      .ldx = a->rows.stride,
                                      .gate_at = fg_delta_channels(a->shape),
                                      .ldy = a->y.stride,
                                      .inv_n = (float)(1.0 / a->shape->head_dim),
                                      .eps = a->eps};
    const struct fg_bind binds[] = {
        {a->x.buffer, 0, 0}, {a->rows.buffer, 0, 0}, {a->w, 0, 0}, {a->y.buffer, 0, 0}};

    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 4,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {push.n_head, a->y.rows, 1}});
    fg_cmd_barrier(o->cmd);
}
