/* Answer: generated tokens to the text that a client may see: detokenized, whole UTF-8, control
 * tokens left out, cut before the first stop string. One thread at a time. */
#ifndef FG_ANSWER_H
#define FG_ANSWER_H

#include "job.h"
#include "stop.h"
#include "vocabulary.h"
#include "text/tokenizer/detok.h"
#include "text/tools/reasoning_count.h"

struct fg_answer_text {
    struct fg_detok detok;
    struct fg_stop stop;
    bool counts;                        /* tokens of reasoning: of a chat */
    struct fg_detok tagged;             /* their text with all tags */
    struct fg_reasoning_count *thought; /* NULL: there was no memory */
};

/* The vocabulary and the request must outlive the answer. `start`: where a chat's begins. */
void fg_answer_text_init(struct fg_answer_text *a, const struct fg_vocabulary *v,
                         const struct fg_job_request *req, enum fg_answer_start start);
void fg_answer_text_finish(struct fg_answer_text *a);
/* Takes the next token; `early`: its text cannot be of a stop string. *text (may be empty) is valid
 * until the next call; *stopped: a stop string is complete, and *text is the last. FG_EINVAL (id
 * outside the vocabulary), FG_ENOMEM. */
int fg_answer_text_push(struct fg_answer_text *a, int32_t token, bool early, struct fg_str *text,
                        bool *stopped, struct fg_err *err);
/* Of the tokens so far, those of reasoning. */
uint32_t fg_answer_text_reasoning(const struct fg_answer_text *a);
/* The answer ended otherwise: what was held back, into `out` (malloc'd, the caller's, *n bytes;
 * NULL when there is none). FG_ENOMEM. */
int fg_answer_text_end(struct fg_answer_text *a, char **out, size_t *n, struct fg_err *err);

/* The bytes of token `id` as log-probability entries show them, into p->piece. */
void fg_answer_text_piece(const struct fg_tokenizer *t, struct fg_token_logprob *p);

#endif
