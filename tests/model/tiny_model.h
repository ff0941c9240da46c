/* Small random models of every family and shape, for tests: the same seed gives the same file. */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include "gguf_writer.h"
#include "model/families/family.h"

struct tiny_model {
    const struct fg_family *family;
    uint32_t n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_vocab, rope_dim;
    uint32_t n_expert, n_expert_used; /* 0 for llama */
    uint32_t n_ff_shared;             /* qwen35moe */
    uint32_t n_head_k, n_head_v, delta_dim,
        taps;                   /* qwen35: heads of the gated delta rule; lfm2: taps */
    uint32_t n_left_out;        /* qwen35: layers behind the others that do not run */
    enum fg_dtype matrix;       /* type of every matrix but the router */
    const enum fg_dtype *mixed; /* [n_mixed]: those by turns instead, or NULL */
    uint32_t n_mixed;
    const uint8_t *recurrent; /* [n_layer], or NULL: the key is left out */
    bool tied;                /* no output.weight */
    uint32_t window;          /* of attention; 0: the key is left out */
    bool rope_factors;        /* llama: rope_freqs.weight, 1 + i / 8 */
    uint64_t seed;
};

/* 4 layers (3 lightning, 1 softmax), hidden 64, 4 heads x 32, 2 KV heads, rotary 16, 4 experts
 * top 2 of width 96, vocabulary 96, F32. */
struct tiny_model tiny_minimax(void);
/* 3 layers, hidden 64, 4 heads x 16, 2 KV heads, rotary 16, width 96, vocabulary 96, F32, tied. */
struct tiny_model tiny_llama(void);

/* The same with 4 layers, of which all but the second are short convolutions of 3 taps. */
struct tiny_model tiny_lfm2(void);

/* 4 layers (3 of the gated delta rule, 1 softmax), hidden 64, 4 heads x 32, 2 KV heads, rotary 16;
 * 2 heads of q and k and 4 of v, 16 wide, 4 taps; width 96, vocabulary 96, F32. */
struct tiny_model tiny_qwen35(void);
/* The same with 4 experts top 2 of width 96 and a shared one of 64; other heads: 3 and 6, 24 wide.
 */
struct tiny_model tiny_qwen35moe(void);

/* A writer with all of the model's keys, and the tensors that the family's blocks want of them; the
 * caller may change it, and destroys it. Matrices are uniform with standard deviation 1/sqrt(k),
 * norm weights are 1 +- 0.1. */
struct gguf_writer *tiny_model_write(const struct tiny_model *m);

/* Makes gate and up of that layer's experts one tensor. */
void tiny_model_fuse_experts(struct gguf_writer *w, uint32_t layer);

#endif
