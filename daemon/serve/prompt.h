/* From a request to tokens. The text thread's. */
#ifndef FG_PROMPT_H
#define FG_PROMPT_H

struct fg_flow;
struct fg_job;
struct fg_err;

/* Turns job->req into job->tokens and prefix keys; checks all of the request.
 * FG_EINVAL, FG_ETOOLONG, FG_EUNSUPPORTED, FG_ENOMEM. */
int fg_prompt_prepare(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);

#endif
