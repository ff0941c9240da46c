/* Llama and its kin, Mistral and Mixtral among them: softmax attention and a feed-forward in every
 * layer, dense or a mixture of experts. */
#include "plain_layers.h"

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    struct fg_block_shape ffn = {.kind = &fg_dense_ffn_block};
    const uint32_t n = hp->n_layer;
    uint32_t experts = 0;
    int rc =
        fg_key_u32(k, (struct fg_u32_key){"expert_count", 0, FG_MAX_EXPERTS, n, true}, &experts);

    if (!rc)
        rc = fg_plain_dense(k, hp, &ffn);
    if (!rc && experts) {
        ffn = (struct fg_block_shape){.kind = &fg_moe_block, .moe = {.n_ff = ffn.dense.n_ff}};
        rc = fg_keys_experts(k, n, &ffn);
    }
    return rc ? rc : fg_plain_layers_read(k, hp, &(struct fg_block_shape){.biases = 0}, &ffn, 0);
}

const struct fg_family fg_llama = {.arch = "llama", .read = read, .rope_factors = true};
