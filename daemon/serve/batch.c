#include "batch.h"

#include <string.h>

#include "admit.h"
#include "decode.h"
#include "flow_state.h"
#include "job_state.h"
#include "prefill.h"

enum { MEASURED_TOKENS = 16 }; /* of a step that tells what prefill costs: decode costs more */

/* Tokens that are computed, or will be once the batch that runs is finished. */
static uint32_t position(const struct fg_job *job)
{
    return fg_seq_length(job->seq) + job->span;
}

/* Tokens that will be known then: one is chosen behind the last, unless the answer ends with it for
 * its length. It may end for other reasons, and then the plan was for nothing. */
static uint32_t known(const struct fg_job *job)
{
    bool chosen = job->span && position(job) == job->n_tokens;

    return job->n_tokens + (chosen && job->account.completion_tokens + 1 < job->max_new);
}

static uint32_t pending(const struct fg_job *job)
{
    /* What a check of the caches does next depends on what it has found. */
    if (!job->brought || (job->span && job->req.mode == FG_MODE_VERIFY))
        return 0;
    return known(job) > position(job) ? known(job) - position(job) : 0;
}

static void add(const struct fg_flow *flow, struct fg_batch *b, struct fg_job *job, uint32_t n)
{
    static const int32_t open; /* any token: fg_batch_submit() fills in what was chosen */
    uint32_t from = position(job), held = fg_seq_pages(job->seq),
             pages = fg_admit_pages(flow, from + n);
    bool ends = from + n == known(job);

    b->jobs[b->n] = job;
    b->from[b->n] = from;
    b->spans[b->n++] =
        (struct fg_step_span){.seq = job->seq,
                              .tokens = from < job->n_tokens ? job->tokens + from : &open,
                              .n = n,
                              .n_logits = fg_decode_rows(job, from, n, ends),
                              .logits = job->logits,
                              .n_best = ends ? job->n_best : 0,
                              .best = job->best};
    b->pages += pages > held ? pages - held : 0;
}

/* Spans of prompts begin with another job each time, so that a long prompt does not hold up the
 * short ones. */
void fg_batch_plan(const struct fg_flow *flow, struct fg_batch *b)
{
    const struct fg_sched *s = &flow->sched;
    uint32_t budget = flow->runner.info.n_batch;

    b->n = b->pages = 0;
    b->step = NULL;
    for (uint32_t i = 0; i < s->n_active && budget; i++) {
        if (pending(s->active[i]) != 1)
            continue;
        add(flow, b, s->active[i], 1);
        budget--;
    }
    for (uint32_t i = 0; i < s->n_active && budget; i++) {
        struct fg_job *job = s->active[(s->turn + i) % s->n_active];
        uint32_t n;

        if (pending(job) < 2)
            continue;
        n = fg_decode_span(job, position(job), fg_prefill_span(flow, job, position(job), budget));
        add(flow, b, job, n);
        budget -= n;
    }
}

bool fg_batch_equal(const struct fg_batch *a, const struct fg_batch *b)
{
    bool equal = a->n == b->n;

    for (uint32_t i = 0; equal && i < a->n; i++) {
        const struct fg_step_span *p = &a->spans[i], *q = &b->spans[i];

        equal = a->jobs[i] == b->jobs[i] && a->from[i] == b->from[i] && p->seq == q->seq &&
                p->n == q->n && p->n_logits == q->n_logits && p->n_best == q->n_best;
    }
    return equal;
}

int fg_batch_prepare(struct fg_flow *flow, struct fg_batch *b, struct fg_err *err)
{
    return fg_step_prepare(flow->runner.engine, b->spans, b->n, &b->step, err);
}

int fg_batch_submit(struct fg_batch *b, struct fg_ticket *ticket, struct fg_err *err)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < b->n; i++)
        if (b->spans[i].n == 1)
            rc = fg_step_token(b->step, i, b->jobs[i]->tokens[b->from[i]], err);
    if (rc == 0)
        rc = fg_step_submit(b->step, ticket, err);
    if (rc) {
        fg_batch_drop(b);
        return rc;
    }
    b->begun = fg_account_now();
    for (uint32_t i = 0; i < b->n; i++)
        b->jobs[i]->span = b->spans[i].n;
    return 0;
}

int fg_batch_finish(struct fg_flow *flow, struct fg_batch *b, struct fg_err *err)
{
    int rc = fg_step_finish(b->step, err);
    double positions = 0;
    uint32_t n = 0;

    b->step = NULL;
    for (uint32_t i = 0; i < b->n; i++) {
        n += b->spans[i].n;
        positions += fg_rate_positions(b->from[i], b->from[i] + b->spans[i].n);
        b->jobs[i]->span = 0;
    }
    if (rc == 0 && n >= MEASURED_TOKENS)
        fg_rate_add(&flow->prefill_rate, n, positions, (fg_account_now() - b->begun) / 1e3);
    return rc;
}

void fg_batch_drop(struct fg_batch *b)
{
    fg_step_drop(b->step);
    b->step = NULL;
}

bool fg_batch_has(const struct fg_batch *b, const struct fg_job *job)
{
    bool has = false;

    for (uint32_t i = 0; b->step && !has && i < b->n; i++)
        has = b->jobs[i] == job;
    return has;
}
