/* Hyper-parameters of a model, read from GGUF metadata and checked against each other and against
 * the tensors' shapes. */
#ifndef FG_HPARAMS_H
#define FG_HPARAMS_H

#include "model/gguf/gguf.h"

enum fg_family { FG_FAMILY_MINIMAX_01, FG_FAMILY_LLAMA };

struct fg_hparams {
    enum fg_family family;
    uint32_t n_layer;
    uint32_t n_embd; /* hidden width */
    uint32_t n_ff;   /* feed-forward (or expert) width */
    uint32_t n_head;
    uint32_t n_head_kv;
    uint32_t head_dim; /* of q, k and v; n_head x head_dim need not be n_embd */
    uint32_t n_vocab;
    uint32_t n_ctx_train;
    uint32_t n_expert;      /* 0: dense */
    uint32_t n_expert_used; /* 0: dense */
    uint32_t rope_dim;      /* rotated leading dimensions of a head, even */
    float rope_freq_base;
    const float *rope_factors; /* llama: rope_freqs.weight, divides each frequency; or NULL. In g */
    float norm_eps;
    float residual_scale; /* alpha; 1 for llama */
    bool rope_neox;       /* first half pairs with second half; else pairs (2i, 2i+1) */
    bool post_norm;       /* the residual is the normed input (minimax-01) */
    bool tied_output;     /* no output.weight: the head is token_embd */
    uint8_t *recurrent;   /* [n_layer] 1: lightning attention, 0: softmax attention. Owned */
};

/* Reads and checks; every tensor the family needs must exist with the right shape and a known type,
 * and err names the first one that does not. On success the caller ends with fg_hparams_finish().
 * FG_EFORMAT, FG_EUNSUPPORTED (architecture, rope scaling other than none/llama3 factors, biases,
 * sliding windows...), FG_ENOMEM. */
int fg_hparams_init(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err);
void fg_hparams_finish(struct fg_hparams *hp);

#endif
