/* SentencePiece's BPE (GGUF `tokenizer.ggml.model` = "llama"): of all adjacent pairs of symbols
 * that together are a token, the one of the highest score (leftmost on a tie) becomes one, until
 * none is left. Symbols are characters at first. One that is no token in the end becomes the tokens
 * of its bytes. Time n log n in the bytes of the text. */
#ifndef FG_SPM_H
#define FG_SPM_H

#include "bpe.h"

/* Immutable after fg_spm_init(): any thread. */
struct fg_spm {
    uint32_t *rank; /* of each token, less for a higher score */
    size_t longest; /* bytes of the longest token */
};

/* Reads the scores of `spec` over the vocabulary made from it. FG_EFORMAT (a score that is not a
 * finite number, none at all), FG_ENOMEM; on failure *s needs no fg_spm_finish(). */
int fg_spm_init(struct fg_spm *s, const struct fg_vocab *v, const struct fg_vocab_spec *spec,
                struct fg_err *err);
void fg_spm_finish(struct fg_spm *s);

/* Appends the tokens of a text to w->ids. Bytes without a token become one `unk` for each unbroken
 * run of them, or nothing when that is -1. FG_ETOOLONG: more than w->most; FG_EUNSUPPORTED: more
 * than FG_BPE_MAX_PIECE bytes; FG_ENOMEM. */
int fg_spm_encode(const struct fg_spm *s, const struct fg_vocab *v, struct fg_bpe_work *w,
                  struct fg_str text, int32_t unk);

#endif
