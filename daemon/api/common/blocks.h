/* An answer as a list of blocks: reasoning, text and tool calls, in the order in which the model
 * wrote them. For the dialects whose answers are such lists. One thread at a time. */
#ifndef FG_API_BLOCKS_H
#define FG_API_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "fulgur/str.h"
#include "text/tools/answer_parts.h"

enum fg_block_kind { FG_BLOCK_REASONING, FG_BLOCK_TEXT, FG_BLOCK_CALL };

struct fg_block {
    enum fg_block_kind kind;
    char id[64];           /* of a call */
    struct fg_buffer name; /* of a call */
    struct fg_buffer text; /* of a call: its arguments, a JSON object */
};

enum fg_block_step { FG_BLOCK_BEGINS, FG_BLOCK_GROWS, FG_BLOCK_ENDS };

/* Block `index` of the list: it begins, is `more` longer, or ends. */
typedef void fg_block_fn(void *ctx, size_t index, enum fg_block_step step, struct fg_str more);

struct fg_blocks {
    struct fg_block *list; /* [n] */
    size_t n, cap;
    bool open;   /* the last one goes on */
    bool failed; /* out of memory: blocks are missing */
    struct fg_answer_parts *parts;
    struct fg_answer_form form;
    enum fg_answer_start start;
    struct fg_buffer whole;
    fg_block_fn *fn;
    void *ctx;
};

/* `form`'s schemas live as long; `id` is put into the ids of calls. fn: told of each block as it is
 * written; NULL: nobody follows, and an answer with a call that is malformed or cut has no calls in
 * the end, but the text that they were. */
void fg_blocks_init(struct fg_blocks *b, const struct fg_answer_form *form, const char *id,
                    fg_block_fn *fn, void *ctx);
/* Where the answer begins, before the first push. */
void fg_blocks_start(struct fg_blocks *b, enum fg_answer_start start);
void fg_blocks_finish(struct fg_blocks *b);
/* More of the answer. */
void fg_blocks_push(struct fg_blocks *b, struct fg_str more);
/* The answer is complete: there is a block now, an empty text if nothing else. */
void fg_blocks_end(struct fg_blocks *b);
/* The first call, or NULL: there is none, or one of them is malformed or was cut. */
const struct fg_block *fg_blocks_call(const struct fg_blocks *b);
/* All that was pushed, as long as nothing more is. */
struct fg_str fg_blocks_whole(const struct fg_blocks *b);
struct fg_str fg_block_text(const struct fg_buffer *text);

#endif
