/* From logits to the next token and its text. The GPU thread's. */
#ifndef FG_DECODE_H
#define FG_DECODE_H

struct fg_flow;
struct fg_job;
struct fg_err;

/* All of job's tokens are computed and its logits are there: chooses the next token, or ends the
 * job, which is gone then. FG_EDEVICELOST. */
int fg_decode_next(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);
/* Sends the chosen token's text, if one is not told yet: before the next one is chosen. */
void fg_decode_tell(const struct fg_flow *flow, struct fg_job *job);

#endif
