/* Small random models of every family and shape, for tests: the same seed gives the same file. */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include "gguf_writer.h"
#include "model/families/family.h"

struct tiny_model {
    const struct fg_family *family;
    uint32_t n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_vocab, rope_dim;
    uint32_t n_expert, n_expert_used; /* 0 for llama */
    enum fg_dtype matrix;             /* type of every matrix but the router */
    const uint8_t *recurrent;         /* [n_layer], or NULL: the key is left out */
    bool tied;                        /* no output.weight */
    bool rope_factors;                /* llama: rope_freqs.weight, 1 + i / 8 */
    uint64_t seed;
};

/* 4 layers (3 lightning, 1 softmax), hidden 64, 4 heads x 32, 2 KV heads, rotary 16, 4 experts
 * top 2 of width 96, vocabulary 96, F32. */
struct tiny_model tiny_minimax(void);
/* 3 layers, hidden 64, 4 heads x 16, 2 KV heads, rotary 16, width 96, vocabulary 96, F32, tied. */
struct tiny_model tiny_llama(void);

/* A writer with all of the model's keys, and the tensors that the family's blocks want of them; the
 * caller may change it, and destroys it. Matrices are uniform with standard deviation 1/sqrt(k),
 * norm weights are 1 +- 0.1. */
struct gguf_writer *tiny_model_write(const struct tiny_model *m);

#endif
