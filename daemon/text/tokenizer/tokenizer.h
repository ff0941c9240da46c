/* Tokenizers: text to token ids and back. Byte-level BPE (GGUF `tokenizer.ggml.model` = "gpt2") and
 * SentencePiece's BPE ("llama"; spm.h).
 *
 * Encoding: special tokens are found first, leftmost and then longest; the plain text between them
 * is cut by the pre-tokenizer and each piece merged. Any bytes can be encoded: where the text is
 * not well-formed UTF-8, the ill-formed bytes (each unbroken run of them) are a piece of their own,
 * and the text before and after is cut as if it stood alone. When the vocabulary has a token for
 * each of the 256 bytes, decoding gives the same bytes back. A byte that has none becomes the
 * unknown token, if the file has one that is not a control token, and is left out otherwise, as the
 * published tokenizers do. SentencePiece's take U+2581 for a space, and put a space before each
 * text between special tokens where the file asks for it; both stay in what decoding gives.
 *
 * A tokenizer is immutable: any number of threads may use one at once. */
#ifndef FG_TOKENIZER_H
#define FG_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "fulgur/str.h"
#include "vocab.h"

struct fg_tokenizer;

/* The longest text that can be encoded, in bytes. */
#define FG_TOKENIZER_MAX_TEXT ((size_t)256 << 20)

/* Bytes [begin, end) of a text. */
struct fg_span {
    size_t begin, end;
};

/* Copies what it needs of `spec` (see vocab.h). On success *out is the caller's until
 * fg_tokenizer_destroy(). FG_EFORMAT, FG_EUNSUPPORTED (pre-tokenizer), FG_ENOMEM. */
int fg_tokenizer_create(const struct fg_vocab_spec *spec, struct fg_tokenizer **out,
                        struct fg_err *err);
void fg_tokenizer_destroy(struct fg_tokenizer *t); /* takes NULL */

enum {
    FG_ENCODE_PARSE_SPECIAL = 1, /* control tokens are found too, not only user defined ones */
    FG_ENCODE_ADD_SPECIAL = 2,   /* bos and eos are added where the file asks for them */
};

struct fg_encode_options {
    unsigned flags; /* FG_ENCODE_* */
    size_t most;    /* tokens that are wanted at most; 0: any number */
};

/* Encodes text. On success *ids is a malloc'd array of *n_ids that the caller frees (not NULL even
 * when empty). FG_ETOOLONG: more than FG_TOKENIZER_MAX_TEXT (*n_ids is 0 then), or more than
 * opt.most tokens (*n_ids is opt.most): no piece is merged behind the one in which the first token
 * too many lies, nor that one where its length alone says so. FG_EUNSUPPORTED: more than
 * FG_BPE_MAX_PIECE bytes (bpe.h) without a place to cut; FG_ENOMEM. */
int fg_tokenizer_encode(const struct fg_tokenizer *t, struct fg_str text,
                        struct fg_encode_options opt, int32_t **ids, size_t *n_ids,
                        struct fg_err *err);

/* A rendered chat, and which spans of it users wrote (ascending, disjoint, inside the text). */
struct fg_chat_spans {
    struct fg_str text;
    const struct fg_span *content;
    size_t n_content;
};

/* Encodes a rendered chat: control tokens are found, except where they would touch one of the
 * spans, so that what a user writes is never one; no bos or eos is added. Apart from that the spans
 * make no difference: plain text merges across their ends. `most` and errors as above, and
 * FG_EINVAL for spans out of order. */
int fg_tokenizer_encode_chat(const struct fg_tokenizer *t, const struct fg_chat_spans *chat,
                             size_t most, int32_t **ids, size_t *n_ids, struct fg_err *err);

/* The bytes of the tokens, one after the other, unchecked for UTF-8; special tokens as their text.
 * *text is malloc'd, NUL-terminated behind its *n bytes, and the caller's. FG_EINVAL (an id outside
 * the vocabulary), FG_ENOMEM. */
int fg_tokenizer_decode(const struct fg_tokenizer *t, const int32_t *ids, size_t n_ids, char **text,
                        size_t *n, struct fg_err *err);

/* How many of the first tokens lie wholly within the first `offset` bytes of the text that `ids`
 * came from (encoded without add_special). Ids outside the vocabulary count as empty. */
size_t fg_tokenizer_tokens_before(const struct fg_tokenizer *t, const int32_t *ids, size_t n_ids,
                                  size_t offset);

size_t fg_tokenizer_n_vocab(const struct fg_tokenizer *t);

/* The bytes of a token, *n of them, without NUL; valid as long as the tokenizer. NULL and 0 for an
 * id outside the vocabulary. */
const char *fg_tokenizer_piece(const struct fg_tokenizer *t, int32_t id, size_t *n);

/* True for control tokens (and the unknown token); false outside the vocabulary. */
bool fg_tokenizer_is_control(const struct fg_tokenizer *t, int32_t id);

/* True for tokens after which generation stops: eos, eot, eom, and those well known to end a turn
 * or a text (<|im_end|>, <|eot_id|>, <|endoftext|>, <end_of_turn>, ...; fg_vocab_ends_turn()), but
 * not <|end|> where <|return|> and <|call|> end turns. */
bool fg_tokenizer_is_eog(const struct fg_tokenizer *t, int32_t id);

/* The special token written `text`, else the ordinary token of these bytes, else -1. */
int32_t fg_tokenizer_find(const struct fg_tokenizer *t, struct fg_str text);

/* -1: none. */
int32_t fg_tokenizer_bos(const struct fg_tokenizer *t);
int32_t fg_tokenizer_eos(const struct fg_tokenizer *t);

#endif
