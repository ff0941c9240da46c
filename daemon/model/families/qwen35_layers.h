/* What the two families of Qwen3.5 have in common: layers of the gated delta rule and of softmax
 * attention, by turns, and what is read of their keys. */
#ifndef FG_QWEN35_LAYERS_H
#define FG_QWEN35_LAYERS_H

#include "family.h"

/* Sets hp but for the feed-forwards: `ffn` is that of every layer, its kind and what is its own;
 * moe.fused is found out for each layer. Errors of fg_hparams_init(). */
int fg_qwen35_read(const struct fg_keys *k, struct fg_hparams *hp, const struct fg_block_shape *ffn,
                   unsigned own);

#endif
