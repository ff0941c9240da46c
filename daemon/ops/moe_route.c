#include "moe.h"

#include "shaders/moe/params.h"

void fg_record_moe_route(struct fg_ops *o, const struct fg_moe_route *a)
{
    const struct fg_expert_groups *g = a->groups;
    const struct fg_kernel_key key = {.base = a->bias ? "moe_route.biased" : "moe_route"};
    struct fg_route_push push = {a->logits.rows, g->n_expert, g->n_used, a->logits.stride};
    const struct fg_bind binds[] = {{a->logits.buffer, 0, 0}, {a->experts, 0, 0},
                                    {a->weights, 0, 0},       {g->pairs, 0, 0},
                                    {g->pair_tiles, 0, 0},    {a->bias, 0, 0}};
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = a->bias ? 6 : 5,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(a->logits.rows + 7) / 8, 1, 1}});
    fg_cmd_barrier(o->cmd);
    if (a->logits.rows > 1) /* a single token's are grouped already */
        fg_record_moe_group(o, a->experts, g);
}

void fg_record_moe_group(struct fg_ops *o, struct fg_buffer *experts,
                         const struct fg_expert_groups *groups)
{
    const struct fg_kernel_key key = {.base = "moe_group"};
    struct fg_group_push push = {groups->n_pairs, groups->n_expert,
                                 fg_moe_tiling(o, groups)->tokens};
    const struct fg_bind binds[] = {
        {experts, 0, 0}, {groups->pairs, 0, 0}, {groups->pair_tiles, 0, 0}};
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 3,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {1, 1, 1}});
    fg_cmd_barrier(o->cmd);
}
