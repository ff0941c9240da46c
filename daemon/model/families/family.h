/* A family: how a file's keys become a list of blocks. One file each. */
#ifndef FG_FAMILY_H
#define FG_FAMILY_H

#include "hparams.h"
#include "keys.h"

struct fg_family {
    const char *arch; /* general.architecture, and the prefix of its keys */
    /* Sets what of hp is the family's: the rotary table and the blocks, behind n_layer, n_embd,
     * n_ctx_train and norm_eps, which are read. Errors of fg_hparams_init(). */
    int (*read)(const struct fg_keys *k, struct fg_hparams *hp);
    bool rope_factors; /* rope_freqs.weight divides the frequencies; else it is refused */
};

extern const struct fg_family fg_minimax_01; /* minimax_01.c */
extern const struct fg_family fg_llama;      /* llama.c */
extern const struct fg_family fg_qwen2;      /* qwen2.c */
extern const struct fg_family fg_qwen3;      /* qwen3.c */
extern const struct fg_family fg_qwen3moe;   /* qwen3moe.c */
extern const struct fg_family fg_qwen35;     /* qwen35.c */
extern const struct fg_family fg_qwen35moe;  /* qwen35moe.c */
extern const struct fg_family fg_minimax_m2; /* minimax_m2.c */
extern const struct fg_family fg_gemma3;     /* gemma3.c */
extern const struct fg_family fg_gpt_oss;    /* gpt_oss.c */
extern const struct fg_family fg_lfm2;       /* lfm2.c */

/* Room for hp->n_layer * 2 blocks, all of them zero. FG_ENOMEM. */
int fg_family_blocks(const struct fg_keys *k, struct fg_hparams *hp);

#endif
