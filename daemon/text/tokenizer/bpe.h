/* Byte pair encoding of one piece of text: of all adjacent pairs of tokens that the list of merges
 * names, the one of the lowest rank (leftmost on a tie) becomes one token, until none is left.
 * Time n log n in the bytes of the piece. */
#ifndef FG_BPE_H
#define FG_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "vocab.h"

/* The list of merges. Immutable after fg_bpe_init(): any thread. */
struct fg_bpe {
    struct fg_bpe_slot {
        uint64_t pair; /* left id << 32 | right id */
        uint32_t rank; /* UINT32_MAX: a free slot */
    } * table;         /* open addressing */
    size_t mask;
    int32_t *result; /* the token of each rank */
    size_t longest;  /* bytes of the longest of these, 1 at least */
};

/* Scratch memory and output of one encoding. Zero-initialized is empty. One thread. */
struct fg_bpe_work {
    struct fg_bpe_symbol *symbols;
    size_t symbols_cap;
    uint64_t *heap;
    size_t heap_cap;
    int32_t *ids; /* the tokens so far */
    size_t n_ids;
    size_t ids_cap;
    size_t most; /* tokens that may be appended; 0: any number */
};

/* The longest piece that is merged, in bytes: merging takes 32 bytes of memory for each. */
enum { FG_BPE_MAX_PIECE = 8 << 20 };

/* Reads the merges of `spec` over the vocabulary made from it. A merge that would make a control
 * token is left out: plain text never becomes one. FG_EFORMAT (err names the merge), FG_ENOMEM; on
 * failure *b needs no fg_bpe_finish(). */
int fg_bpe_init(struct fg_bpe *b, const struct fg_vocab *v, const struct fg_vocab_spec *spec,
                struct fg_err *err);
void fg_bpe_finish(struct fg_bpe *b);

/* Appends the tokens of a piece to w->ids. A byte that has no token becomes `unk`, or nothing when
 * that is -1. FG_ETOOLONG: they would be more than w->most, which is known of a long piece before
 * it is merged. FG_EUNSUPPORTED: more than FG_BPE_MAX_PIECE bytes of it have a token. FG_ENOMEM. */
int fg_bpe_encode(const struct fg_bpe *b, const struct fg_vocab *v, struct fg_bpe_work *w,
                  struct fg_str piece, int32_t unk);

/* Appends one token. FG_ETOOLONG: it would be more than w->most; FG_ENOMEM. */
int fg_bpe_emit(struct fg_bpe_work *w, int32_t id);
void fg_bpe_work_finish(struct fg_bpe_work *w);

#endif
