/* From logits to the next token and its text. The GPU thread's. */
#ifndef FG_DECODE_H
#define FG_DECODE_H

#include <stdbool.h>
#include <stdint.h>

struct fg_flow;
struct fg_job;
struct fg_err;

/* All of job's tokens are computed and its logits are there: chooses the next token, or ends the
 * job, which is gone then. FG_EDEVICELOST. */
int fg_decode_next(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);
/* The same for jobs that were put off, whose masks are there now. FG_EDEVICELOST. */
int fg_decode_deferred(struct fg_flow *flow, struct fg_err *err);
/* Rows of logits of a job whose prompt's log-probabilities are wanted: tokens of one step. */
enum { FG_PROMPT_LOGITS = 16 };

/* How many of n tokens from `from` on the next step takes. */
uint32_t fg_decode_span(const struct fg_job *job, uint32_t from, uint32_t n);
/* Of how many of them, the last, logits are wanted. ends: they are all that is left. */
uint32_t fg_decode_rows(const struct fg_job *job, uint32_t from, uint32_t n, bool ends);
/* The step took the job's sequence from `from` to where it is: tells the log-probabilities of the
 * prompt's tokens, where they are wanted. */
void fg_decode_prompt(const struct fg_flow *flow, struct fg_job *job, uint32_t from);
/* Sends the chosen token's text, if one is not told yet: before the next one is chosen. */
void fg_decode_tell(const struct fg_flow *flow, struct fg_job *job);

#endif
