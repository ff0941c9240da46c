/* Incremental detokenizing for streaming: token ids in, well-formed UTF-8 out.
 *
 * A character whose bytes are spread over several tokens is held back until it is whole. Bytes that
 * cannot be part of a character come out as U+FFFD, one for each maximal subpart of an ill-formed
 * sequence (Unicode 3.9, the WHATWG Encoding practice). All that comes out, one after the other, is
 * the same as the bytes of all tokens decoded so at once. One thread at a time. */
#ifndef FG_DETOK_H
#define FG_DETOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "fulgur/str.h"
#include "base/buffer.h"
#include "tokenizer.h"

/* A token that comes as one byte which is no UTF-8, whatever its text. */
struct fg_detok_mark {
    int32_t token;
    char mark;
};

struct fg_detok {
    const struct fg_tokenizer *t;
    bool skip_control;
    const struct fg_detok_mark *marks; /* the caller's, ended by a mark of 0; NULL: none */
    char held[4];                      /* the start of a character */
    size_t n_held;                     /* 0..3 */
    struct fg_buffer out;
};

/* `t` must outlive *d. With `skip_control`, control tokens have no text. */
void fg_detok_init(struct fg_detok *d, const struct fg_tokenizer *t, bool skip_control);
void fg_detok_finish(struct fg_detok *d);

/* Takes the next token. *text (may be empty) is valid until the next call on *d.
 * FG_EINVAL (id outside the vocabulary; nothing changed), FG_ENOMEM. */
int fg_detok_push(struct fg_detok *d, int32_t id, struct fg_str *text, struct fg_err *err);

/* The end of the stream: gives a U+FFFD for what is still held back, if anything is. Afterwards *d
 * can take the next stream. FG_ENOMEM. */
int fg_detok_flush(struct fg_detok *d, struct fg_str *text, struct fg_err *err);

#endif
