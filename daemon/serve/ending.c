/* Ending: the last event of a job, which waits for the store's reader where that still looks for
 * what the prompt differs from, and for what a verification still compares. The job's sequence is
 * gone by then. */
#include "ending.h"
#include "flow_state.h"
#include "job_state.h"
#include "prefix/verify.h"

bool fg_ending_done(struct fg_flow *flow, struct fg_job *job)
{
    struct fg_explain_prompt p = {.prefix = &job->prefix,
                                  .tokens = job->tokens,
                                  .n_tokens = job->n_prompt,
                                  .head_end = job->head_end,
                                  .first_end = job->first_end,
                                  .found = job->explanation.found};

    if (job->explains && fg_explain_pending(&job->explanation))
        return false;
    if (job->req.verify && fg_verify_pending(job->req.verify))
        return false;
    if (job->explains)
        fg_explain_end(&job->explanation, flow->vocabulary.tokenizer, &p, &job->account.why);
    job->explains = false;
    if (job->anew)
        job->account.why.reason = FG_REASON_CORRUPT_DROPPED;
    job->ended = true;
    fg_job_done(flow, job, job->finish);
    return true;
}

void fg_ending_failed(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err)
{
    if (job->req.verify)
        fg_verify_stop(job->req.verify, &flow->runner.prefix_cache);
    job->ended = true;
    fg_job_failed(flow, job, err);
}

void fg_ending_leave(struct fg_flow *flow, struct fg_job *job)
{
    if ((job->explains && fg_explain_pending(&job->explanation)) ||
        (!job->ended && !fg_ending_done(flow, job))) {
        job->next = flow->sched.ending;
        flow->sched.ending = job;
        return;
    }
    if (job->explains)
        fg_explain_wait(&job->explanation);
    job->explains = false;
    fg_job_unref(job);
}

void fg_ending_turn(struct fg_flow *flow)
{
    struct fg_job *job = flow->sched.ending, *next;

    flow->sched.ending = NULL;
    for (; job; job = next) {
        next = job->next;
        fg_ending_leave(flow, job);
    }
}
