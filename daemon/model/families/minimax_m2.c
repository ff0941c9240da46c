/* MiniMax-M2: softmax attention in every layer, with norms over all heads of queries and keys
 * together and a rotation of a part of each head; experts by sigmoid, chosen by that plus a bias,
 * whose chosen weights add up to 1. Names of keys and tensors: llama.cpp's gguf-py. */
#include "plain_layers.h"

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    const struct fg_block_shape attention = {.heads = {.neox = true}, .normed_rows = true};
    struct fg_block_shape ffn = {.kind = &fg_moe_block, .moe = {.biased_choice = true}};
    const uint32_t sigmoid = 2; /* of the key's kinds */
    uint32_t gating = 0;
    int rc = fg_keys_experts(k, hp->n_layer, &ffn);

    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"expert_gating_func", sigmoid, sigmoid, 0, false},
                        &gating);
    return rc ? rc : fg_plain_layers_read(k, hp, &attention, &ffn, FG_OWN_GATING);
}

const struct fg_family fg_minimax_m2 = {.arch = "minimax-m2", .read = read};
