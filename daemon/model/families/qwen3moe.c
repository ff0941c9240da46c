/* Qwen3 with a mixture of experts, whose chosen weights add up to 1. */
#include "plain_layers.h"

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    const struct fg_block_shape attention = {.heads = {.neox = true}, .normed_heads = true};
    struct fg_block_shape ffn = {.kind = &fg_moe_block};
    int rc = fg_keys_experts(k, hp->n_layer, &ffn);

    return rc ? rc : fg_plain_layers_read(k, hp, &attention, &ffn, 0);
}

const struct fg_family fg_qwen3moe = {.arch = "qwen3moe", .read = read};
