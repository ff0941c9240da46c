/* What a model is: widths, its rotary table, and the list of its blocks. Read from GGUF metadata by
 * the family of general.architecture, and checked against the tensors' shapes. */
#ifndef FG_HPARAMS_H
#define FG_HPARAMS_H

#include "model/blocks/block.h"
#include "model/gguf/gguf.h"
#include "ops/rope_scaling.h"

struct fg_family; /* family.h */

struct fg_hparams {
    const struct fg_family *family;
    uint32_t n_layer;
    uint32_t n_left_out; /* layers behind those in the file that do not run: see families/ */
    uint32_t n_embd;     /* hidden width */
    uint32_t n_vocab;
    uint32_t n_ctx_train;
    uint32_t rope_dim; /* rotated leading dimensions of a head, even; 0: nothing is rotated */
    float rope_freq_base;
    float rope_freq_base_local; /* of layers with a table of their own, not scaled; 0: there is none
                                 */
    float embd_scale;           /* of the embedding; 1 where a family does not set it */
    struct fg_rope_scaling rope_scaling;
    const float *rope_factors; /* rope_freqs.weight, divides each frequency; or NULL. In g */
    float norm_eps;
    const char *output_norm; /* the tensor of the last norm, without ".weight" */
    bool tied_output;        /* no output.weight: the head is token_embd */
    uint32_t n_blocks;
    struct fg_block_shape *blocks; /* [n_blocks], in the order that a token takes. Owned */
};

/* Reads and checks; every tensor that a block needs must exist with the right shape and a known
 * type, and err names the first one that does not. On success the caller ends with
 * fg_hparams_finish(). FG_EFORMAT, FG_EUNSUPPORTED (architecture, rope scaling other than linear
 * and YaRN, sliding windows...), FG_ENOMEM. */
int fg_hparams_init(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err);
/* The same for a model of that family, whatever the file calls itself. */
int fg_hparams_init_as(struct fg_hparams *hp, const struct fg_gguf *g,
                       const struct fg_family *family, struct fg_err *err);
/* From the keys alone: n_vocab, tied_output and rope_factors are as nothing is known of tensors. */
int fg_hparams_read_keys(struct fg_hparams *hp, const struct fg_gguf *g,
                         const struct fg_family *family, struct fg_err *err);
void fg_hparams_finish(struct fg_hparams *hp);

/* "minimax-01" */
const char *fg_hparams_family(const struct fg_hparams *hp);
/* How many blocks are of a kind. */
uint32_t fg_hparams_count(const struct fg_hparams *hp, const struct fg_block_kind *kind);
/* The most experts of a block; 0: there are none. */
uint32_t fg_hparams_experts(const struct fg_hparams *hp);

/* The tensors that belong to no block; token_embd and output are matrices 0 and 1. */
void fg_model_tensors(const struct fg_hparams *hp, struct fg_tensor_table *t);

#endif
