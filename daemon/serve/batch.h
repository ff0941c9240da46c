/* A batch: the spans of jobs' tokens that one engine step computes. It is planned and prepared
 * while the batch before it runs, with the tokens that this one will choose still open. The GPU
 * thread's. */
#ifndef FG_SERVE_BATCH_H
#define FG_SERVE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ticket.h"
#include "model/engine.h"

struct fg_flow;
struct fg_job;

enum { FG_MAX_ACTIVE = 64 /* sequences that an engine may have */ };

struct fg_batch {
    struct fg_job *jobs[FG_MAX_ACTIVE];
    uint32_t from[FG_MAX_ACTIVE]; /* tokens of each job before its span */
    struct fg_step_span spans[FG_MAX_ACTIVE];
    uint32_t n;
    uint32_t pages;       /* that it takes from the pool */
    struct fg_step *step; /* once it is prepared, until it is finished or dropped; else NULL */
    double begun;         /* ms of fg_account_now(), when it was submitted */
};

/* Chooses what comes behind the batch that runs (job->span tells what of a job that is), or next
 * where none does: a token for each job that lacks one, then spans of prompts as far as a step
 * goes. Takes nothing and changes no job. */
void fg_batch_plan(const struct fg_flow *flow, struct fg_batch *b);
/* Would the two compute the same? */
bool fg_batch_equal(const struct fg_batch *a, const struct fg_batch *b);
/* Takes its pages and records its step. The errors of fg_step_prepare(). */
int fg_batch_prepare(struct fg_flow *flow, struct fg_batch *b, struct fg_err *err);
/* Fills in the tokens that were open, and hands the step to the device; *ticket ends with it. Drops
 * the step where that fails. The errors of fg_step_submit(). */
int fg_batch_submit(struct fg_batch *b, struct fg_ticket *ticket, struct fg_err *err);
/* Takes the results, waiting where the ticket has not ended, and learns what prefill costs. The
 * errors of fg_step_finish(). */
int fg_batch_finish(struct fg_flow *flow, struct fg_batch *b, struct fg_err *err);
/* Lets go what was prepared and not submitted, if anything was. */
void fg_batch_drop(struct fg_batch *b);
bool fg_batch_has(const struct fg_batch *b, const struct fg_job *job);

#endif
