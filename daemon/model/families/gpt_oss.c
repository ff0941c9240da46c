/* gpt-oss: windows of attention in every other layer, a sink in each head, biases everywhere,
 * experts behind a clamped gate. Names of keys and tensors: llama.cpp's gguf-py. */
#include "plain_layers.h"

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    const struct fg_block_shape attention = {.heads = {.neox = true},
                                             .sinks = true,
                                             .biases = FG_BIAS_Q | FG_BIAS_K | FG_BIAS_V |
                                                       FG_BIAS_OUTPUT};
    struct fg_block_shape ffn = {.kind = &fg_moe_block,
                                 .norm = "post_attention_norm",
                                 .gate = FG_GATE_CLAMPED,
                                 .moe = {.biased = true}};
    const uint32_t of_chosen = 3; /* a softmax over the chosen, which is one over all divided */
    uint32_t gating = of_chosen;
    int rc = fg_keys_experts(k, hp->n_layer, &ffn);

    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"expert_gating_func", of_chosen, of_chosen, 0, true},
                        &gating);
    if (!rc)
        rc = fg_plain_layers_read(k, hp, &attention, &ffn, FG_OWN_WINDOW | FG_OWN_GATING);
    if (!rc)
        rc = fg_keys_windows(k, 2, hp);
    hp->rope_scaling.fractional = true;
    return rc;
}

const struct fg_family fg_gpt_oss = {.arch = "gpt-oss", .read = read};
