/* The parts of an answer while it is written: reasoning, text and tool calls, in any of the forms
 * of answer_form.h. All events, one behind the other, are the same however the text is cut into
 * pieces.
 *
 * A call's name is told once its arguments begin, or it ends without; then come the bytes of its
 * arguments, which are together one JSON object: the model's own bytes where it writes JSON. What
 * looked like a call and is none is text. A call that turns out to be malformed, or larger than
 * FG_ARGUMENTS_MAX_BYTES and FG_ARGUMENTS_MAX_CONTAINERS, after its name was told ends there; all
 * that follows is text, and fg_answer_parts_failed() says so. Blanks around reasoning and calls are
 * left out. One thread at a time; memory is bounded by FG_ARGUMENTS_MAX_BYTES, and each byte is
 * looked at a constant number of times. */
#ifndef FG_ANSWER_PARTS_H
#define FG_ANSWER_PARTS_H

#include "answer_form.h"

enum fg_answer_part {
    FG_ANSWER_REASONING,
    FG_ANSWER_TEXT,
    FG_ANSWER_CALL,
    FG_ANSWER_ARGUMENTS,
    FG_ANSWER_CALL_END
};

struct fg_answer_event {
    enum fg_answer_part part;
    size_t call;        /* CALL, ARGUMENTS, CALL_END: its number, from 0 */
    struct fg_str text; /* REASONING, TEXT, ARGUMENTS: more bytes, whole UTF-8 where the pieces are;
                         * CALL: the name */
    const char *id;     /* CALL; else NULL */
};
/* Pointers live during the call. */
typedef void fg_answer_event_fn(void *ctx, const struct fg_answer_event *e);

struct fg_answer_parts; /* opaque */

/* `form` is copied; what its schemas point to must live as long. Ids of calls begin with
 * call_PREFIX_, where the form lets them: Mistral's have nine letters and digits. A form without
 * tools has no calls, one without reasoning none of that. NULL: out of memory. */
struct fg_answer_parts *fg_answer_parts_create(const struct fg_answer_form *form,
                                               const char *id_prefix, fg_answer_event_fn *fn,
                                               void *ctx);
void fg_answer_parts_destroy(struct fg_answer_parts *p); /* NULL is fine */
/* Where the answer begins, as its BEGUN event says; before the first push. */
void fg_answer_parts_start(struct fg_answer_parts *p, enum fg_answer_start start);
/* More of the answer: UTF-8, and marks. */
void fg_answer_parts_push(struct fg_answer_parts *p, struct fg_str more);
/* The answer is complete: what was held back comes, as TEXT unless it ends a call. */
void fg_answer_parts_end(struct fg_answer_parts *p);
/* Whether a call whose name was told is malformed, or was cut. */
bool fg_answer_parts_failed(const struct fg_answer_parts *p);
/* Whether memory ran out: events are missing. */
bool fg_answer_parts_nomem(const struct fg_answer_parts *p);

#endif
