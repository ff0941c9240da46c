/* How many of an answer's tokens are reasoning: those whose text lies in it or is of the tags
 * around it (of Harmony, the header and the end of its messages). Counted by tokens as they were
 * sampled, however many bytes each has: none, or a part of a tag. One thread at a time. */
#ifndef FG_REASONING_COUNT_H
#define FG_REASONING_COUNT_H

#include "answer_form.h"

struct fg_reasoning_count; /* opaque */

/* NULL: out of memory. */
struct fg_reasoning_count *fg_reasoning_count_create(const struct fg_answer_form *form,
                                                     enum fg_answer_start start);
void fg_reasoning_count_destroy(struct fg_reasoning_count *c); /* NULL is fine */
/* The next token's text, with marks; may be empty. 0 or FG_ENOMEM. */
int fg_reasoning_count_push(struct fg_reasoning_count *c, struct fg_str text);
uint32_t fg_reasoning_count_tokens(const struct fg_reasoning_count *c);

#endif
