/* Qwen3.5 with a mixture of experts and one that all tokens share. */
#include "qwen35_layers.h"

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    struct fg_block_shape ffn = {.kind = &fg_moe_block, .moe = {.shared_gate = true}};
    uint32_t n = hp->n_layer, shared = 1;
    int rc = fg_keys_experts(k, n, &ffn);

    ffn.moe.n_ff_shared = ffn.moe.n_ff;
    if (!rc)
        rc = fg_key_u32(
            k, (struct fg_u32_key){"expert_shared_feed_forward_length", 1, FG_MAX_FF, n, true},
            &ffn.moe.n_ff_shared);
    /* There is one, and its width is said apart. */
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"expert_shared_count", 1, 1, n, true}, &shared);
    return rc ? rc : fg_qwen35_read(k, hp, &ffn, FG_OWN_SHARED_COUNT);
}

const struct fg_family fg_qwen35moe = {.arch = "qwen35moe", .read = read};
