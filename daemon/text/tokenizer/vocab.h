/* The vocabulary of a tokenizer: the bytes of each token, and which token is which.
 *
 * GGUF writes the bytes of ordinary tokens in GPT-2's byte alphabet, in which every byte is one
 * printable character. They are turned back into bytes here, once; so are SentencePiece's, which
 * write a space as U+2581 and a byte as <0x41>. Special tokens (control, user
 * defined, unknown) stand for their text as it is written. Immutable after fg_vocab_init(): any
 * thread. */
#ifndef FG_VOCAB_H
#define FG_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "fulgur/str.h"

/* What a GGUF file says of its tokenizer; the views need to live only during the call that takes
 * the spec. */
struct fg_vocab_spec {
    struct fg_str pre;           /* tokenizer.ggml.pre: see pretokenizer.h */
    const struct fg_str *tokens; /* n_tokens texts; the index is the id */
    const int32_t *types;        /* n_tokens of tokenizer.ggml.token_type, or NULL: all ordinary
                                  * but bos, eos, eot, eom and unk, which are control tokens */
    size_t n_tokens;
    bool spm;                    /* SentencePiece's BPE: scores and no merges */
    const float *scores;         /* n_tokens, or NULL */
    const struct fg_str *merges; /* n_merges times "left right", the first has the lowest rank */
    size_t n_merges;
    int32_t bos, eos, eot, eom, unk; /* -1: none */
    bool add_bos, add_eos;
    bool add_space_prefix;       /* a run of plain text that does not begin with a space gets one */
};

enum fg_token_kind {
    FG_TOKEN_ORDINARY, /* made by merging; also GGUF's unused and byte types */
    FG_TOKEN_CONTROL,  /* GGUF 3, and 2 (unknown); tokens known to end turns, whatever their type */
    FG_TOKEN_USER,     /* GGUF 4: found in every text */
};

struct fg_vocab {
    char *bytes;       /* of all tokens, one after the other */
    uint32_t *start;   /* n + 1: where the bytes of each token begin */
    uint8_t *kind;     /* n of enum fg_token_kind */
    size_t n;          /* tokens */
    int32_t byte[256]; /* the ordinary token of each single byte, SentencePiece's <0x00>, or -1 */
    int32_t *table;    /* bytes -> id, open addressing, -1: free */
    size_t mask;
    int32_t *special; /* ids of control and user tokens, sorted by bytes */
    size_t n_special;
    uint32_t first[257]; /* special[first[b] .. first[b + 1]) begin with byte b */
};

/* Is a token of this text known to end a turn or an answer? `control`: the file calls it a control
 * token; without, texts that people write (</s>) do not count. */
bool fg_vocab_ends_turn(struct fg_str text, bool control);

/* Reads tokens and types of `spec`. FG_EFORMAT (err names the token or id), FG_ENOMEM; on failure
 * *v needs no fg_vocab_finish(). */
int fg_vocab_init(struct fg_vocab *v, const struct fg_vocab_spec *spec, struct fg_err *err);
void fg_vocab_finish(struct fg_vocab *v);

/* The bytes of token `id`, 0 <= id < n; valid until fg_vocab_finish(). */
struct fg_str fg_vocab_piece(const struct fg_vocab *v, int32_t id);

/* The ordinary token with exactly these bytes, else the special token that is written so in
 * printable ASCII; -1 when there is none. Of several the lowest id. */
int32_t fg_vocab_find(const struct fg_vocab *v, struct fg_str bytes);

/* The special token with exactly this text, or -1. */
int32_t fg_vocab_find_special(const struct fg_vocab *v, struct fg_str text);

/* The longest special token at the start of p[0..n), n > 0, or -1; *len gets its bytes. Control
 * tokens are found within the first `control` bytes only; user defined ones always. */
int32_t fg_vocab_match(const struct fg_vocab *v, const char *p, size_t n, size_t control,
                       size_t *len);

/* Writes the bytes that `text`, in the byte alphabet, stands for; `out` holds text.n bytes. Returns
 * their number, or SIZE_MAX when `text` has a character outside the alphabet. */
size_t fg_vocab_unalphabet(struct fg_str text, char *out);

#endif
