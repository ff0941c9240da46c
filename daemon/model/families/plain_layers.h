/* What families have in common whose layers are all alike: softmax attention, then a feed-forward,
 * each added to the stream. */
#ifndef FG_PLAIN_LAYERS_H
#define FG_PLAIN_LAYERS_H

#include "family.h"

/* Sets hp. attention: neox and normed_heads, and biases that every layer must have; those that a
 * file has besides are found by their tensors. ffn: the kind and what is its own, and its norm
 * where that is not ffn_norm; moe.fused is
 * found out for each layer. own: keys that the family has read itself, see keys.h. Errors of
 * fg_hparams_init(). */
int fg_plain_layers_read(const struct fg_keys *k, struct fg_hparams *hp,
                         const struct fg_block_shape *attention, const struct fg_block_shape *ffn,
                         unsigned own);

/* A dense feed-forward, by feed_forward_length. Errors of fg_key_u32(). */
int fg_plain_dense(const struct fg_keys *k, const struct fg_hparams *hp, struct fg_block_shape *s);

#endif
