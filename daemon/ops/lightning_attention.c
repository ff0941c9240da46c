#include "lightning_attention.h"

#include <stdio.h>

#include "base/block_tokens.h"
#include "shaders/lightning/params.h"

enum { TOKENS = 4 /* of one chunk that share its keys in a workgroup */ };

bool fg_lightning_by_lanes(const struct fg_ops *o)
{
    return o->attend_spread == 8;
}

/* variant: tokens of a group. */
static void write_name(const struct fg_kernel_key *k, char name[FG_KERNEL_NAME])
{
    snprintf(name, FG_KERNEL_NAME, "lightning_attend.t%u.sg8.tex", k->variant);
}

static struct fg_kernel_key attend_kernel(const struct fg_ops *o, uint32_t head_dim,
                                          uint32_t tokens)
{
    struct fg_kernel_key key = {.base = "lightning_attend", .spec = {tokens, 0, head_dim, 0, 0}};
    if (fg_lightning_by_lanes(o)) {
        key.write_name = write_name;
        key.variant = tokens;
        key.spec[0] = 0;
    }
    return key;
}

/* Folds the runs that end their chunk into its state. */
static void record_fold(struct fg_ops *o, const struct fg_lightning_attention *a,
                        const struct fg_lightning_push *push, uint32_t n_rows)
{
    uint32_t d4 = a->head_dim / 4, groups = (a->head_dim * d4 + 63) / 64;
    struct fg_kernel_key key = {.base = "lightning_fold"};
    const struct fg_bind binds[] = {{a->k_rows, 0, 0},
                                    {a->v_rows, 0, 0},
                                    {a->state, 0, 0},
                                    {a->decay, 0, 0},
                                    {a->tables->chunks, 0, 0}};
    if (fg_lightning_by_lanes(o)) {
        key = (struct fg_kernel_key){.base = "lightning_fold.sg8.tex", .spec = {[2] = a->head_dim}};
        groups = d4;
    }
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 5,
                                          .push = push,
                                          .push_bytes = sizeof *push,
                                          .groups = {groups, a->n_head, n_rows}});
    fg_cmd_barrier(o->cmd);
}

/* Takes the rows of a round into the chunks; at most `most` tokens of each. */
static void record_rows(struct fg_ops *o, const struct fg_lightning_attention *a,
                        const struct fg_lightning_push *push, const uint32_t most, uint32_t n_rows)
{
    const struct fg_kernel_key key = {.base = "lightning_rows"};
    const struct fg_bind binds[] = {{a->qkv.buffer, 0, 0},
                                    {a->rotated, 0, 0},
                                    {a->k_rows, 0, 0},
                                    {a->v_rows, 0, 0},
                                    {a->tables->chunks, 0, 0}};
    fg_ops_dispatch(
        o, &key,
        &(struct fg_ops_call){.binds = binds,
                              .n_binds = 5,
                              .push = push,
                              .push_bytes = sizeof *push,
                              .groups = {(a->n_head * (a->head_dim / 4) + 31) / 32, most, n_rows}});
    fg_cmd_barrier(o->cmd);
}

static void record_round(struct fg_ops *o, const struct fg_lightning_attention *a,
                         const struct fg_step_round *round)
{
    bool single = a->shape->n_single == a->shape->n_tokens;
    uint32_t tokens = single ? 1 : TOKENS, most = single ? 1 : FG_BLOCK_TOKENS;
    struct fg_kernel_key key = attend_kernel(o, a->head_dim, tokens);
    struct fg_lightning_push push = {.row0 = round->row0,
                                     .n_head = a->n_head,
                                     .head_dim = a->head_dim,
                                     .ldx = a->qkv.stride,
                                     .ldo = a->out.stride};
    const struct fg_bind binds[] = {
        {a->rotated, 0, 0}, {a->k_rows, 0, 0},         {a->v_rows, 0, 0},    {a->state, 0, 0},
        {a->decay, 0, 0},   {a->tables->chunks, 0, 0}, {a->out.buffer, 0, 0}};

    record_rows(o, a, &push, most, round->n_rows);
    fg_ops_dispatch(
        o, &key,
        &(struct fg_ops_call){.binds = binds,
                              .n_binds = 7,
                              .push = &push,
                              .push_bytes = sizeof push,
                              .groups = {a->n_head, (most + tokens - 1) / tokens, round->n_rows}});
    fg_cmd_barrier(o->cmd);
    if (round->ends_chunk)
        record_fold(o, a, &push, round->n_rows);
}

void fg_record_lightning_attention(struct fg_ops *o, const struct fg_lightning_attention *a)
{
    for (uint32_t r = 0; r < a->shape->n_rounds; r++)
        record_round(o, a, &a->shape->rounds[r]);
}

void fg_record_gate(struct fg_ops *o, const struct fg_gate *a)
{
    const struct fg_kernel_key key = {.base = "lightning_gate"};
    struct fg_gate_push push = {.n_tokens = a->y.rows,
                                .n = a->y.k,
                                .ldo = a->x.stride,
                                .ldg = a->gate.stride,
                                .ldy = a->y.stride,
                                .inv_n = (float)(1.0 / a->y.k),
                                .eps = 1e-6f};
    const struct fg_bind binds[] = {
        {a->x.buffer, 0, 0}, {a->gate.buffer, 0, 0}, {a->w, 0, 0}, {a->y.buffer, 0, 0}};
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 4,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {a->y.rows, 1, 1}});
    fg_cmd_barrier(o->cmd);
}
