/* From a request to tokens. A text thread's. */
#ifndef FG_PROMPT_H
#define FG_PROMPT_H

#include <stdbool.h>

struct fg_flow;
struct fg_job;
struct fg_err;
struct fg_job_request;

/* Whether it is for the second text thread, so that small ones do not wait for it. Any thread. */
bool fg_prompt_is_large(const struct fg_job_request *req);
/* Turns job->req into job->tokens and prefix keys; checks all of the request.
 * FG_EINVAL, FG_ETOOLONG, FG_EUNSUPPORTED, FG_ENOMEM. */
int fg_prompt_prepare(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);

#endif
