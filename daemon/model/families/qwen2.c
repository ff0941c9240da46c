/* Qwen2 and Qwen2.5, dense: biases on queries, keys and values. */
#include "plain_layers.h"

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    const struct fg_block_shape attention = {.heads = {.neox = true},
                                             .biases = FG_BIAS_Q | FG_BIAS_K | FG_BIAS_V};
    struct fg_block_shape ffn = {.kind = NULL};
    int rc = fg_plain_dense(k, hp, &ffn);

    return rc ? rc : fg_plain_layers_read(k, hp, &attention, &ffn, 0);
}

const struct fg_family fg_qwen2 = {.arch = "qwen2", .read = read};
