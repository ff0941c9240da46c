/* Qwen3.5, dense. */
#include "qwen35_layers.h"

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    struct fg_block_shape ffn = {.kind = &fg_dense_ffn_block};
    uint32_t experts = 0;
    int rc =
        fg_key_u32(k, (struct fg_u32_key){"feed_forward_length", 1, FG_MAX_FF, hp->n_layer, false},
                   &ffn.dense.n_ff);

    /* Those are of the other family. */
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"expert_count", 0, 0, 0, true}, &experts);
    return rc ? rc : fg_qwen35_read(k, hp, &ffn, 0);
}

const struct fg_family fg_qwen35 = {.arch = "qwen35", .read = read};
