#include <inttypes.h>
#include <stdio.h>

#include "keys.h"
#include "model/blocks/block.h"

int fg_keys_experts(const struct fg_keys *k, uint32_t n_layer, struct fg_block_shape *s)
{
    bool optional = s->moe.n_ff != 0;
    int rc = fg_key_u32(k, (struct fg_u32_key){"expert_count", 1, FG_MAX_EXPERTS, n_layer, false},
                        &s->moe.n_expert);

    if (!rc)
        rc = fg_key_u32(
            k, (struct fg_u32_key){"expert_used_count", 1, s->moe.n_expert, n_layer, false},
            &s->moe.n_used);
    if (!rc)
        rc = fg_key_u32(
            k, (struct fg_u32_key){"expert_feed_forward_length", 1, FG_MAX_FF, n_layer, optional},
            &s->moe.n_ff);
    return rc;
}

bool fg_keys_fused_experts(const struct fg_keys *k, uint32_t layer)
{
    char name[64];

    snprintf(name, sizeof name, "blk.%" PRIu32 ".ffn_gate_up_exps.weight", layer);
    return fg_gguf_tensor(k->g, name) != NULL;
}
