/* Qwen3, dense: norms on each head of queries and keys. */
#include "plain_layers.h"

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    const struct fg_block_shape attention = {.heads = {.neox = true}, .normed_heads = true};
    struct fg_block_shape ffn = {.kind = NULL};
    int rc = fg_plain_dense(k, hp, &ffn);

    return rc ? rc : fg_plain_layers_read(k, hp, &attention, &ffn, 0);
}

const struct fg_family fg_qwen3 = {.arch = "qwen3", .read = read};
