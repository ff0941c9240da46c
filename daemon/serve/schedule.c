/* The scheduler: one engine step after the other, each with a token of every job that decodes and
 * pieces of the prompts that are being computed. */
#include "base/log.h"
#include "parts.h"
#include "prefix/held.h"

enum { MEASURED_TOKENS = 16 }; /* of a step that tells what prefill costs: decode costs more */

struct step {
    struct fg_job *jobs[FG_MAX_ACTIVE];
    struct fg_step_span pieces[FG_MAX_ACTIVE];
    uint32_t n;
    uint32_t pages; /* that it takes from the pool */
};

void fg_sched_add(struct fg_sched *s, struct fg_job *job)
{
    struct fg_job **at = &s->waiting;

    while (*at && (*at)->id < job->id)
        at = &(*at)->next;
    job->next = *at;
    *at = job;
}

bool fg_sched_idle(const struct fg_sched *s)
{
    return !s->waiting && !s->ending && s->n_active == 0;
}

static void drop_canceled(struct fg_flow *flow)
{
    struct fg_sched *s = &flow->sched;
    struct fg_err err = {0};

    fg_fail(&err, FG_ECANCELED, "the request was canceled");
    for (uint32_t i = s->n_active; i-- > 0;)
        if (fg_job_canceled(s->active[i]))
            fg_admit_fail(flow, s->active[i], &err);
    for (struct fg_job *job = s->waiting, *next; job; job = next) {
        next = job->next;
        if (fg_job_canceled(job))
            fg_admit_fail(flow, job, &err);
    }
}

/* Ends or puts off what `rc` says of job. False: the active list has changed. */
static bool handle_failure(struct fg_flow *flow, struct fg_job *job, int rc, struct fg_err *err)
{
    if (rc == 0)
        return true;
    if (rc == FG_EBUSY && fg_pages_held(&flow->runner.prefix_cache))
        return false; /* pages come free in a moment */
    if (rc == FG_EDEVICELOST)
        fg_admit_recover(flow, err);
    else if (rc != FG_EBUSY || !fg_admit_preempt(flow))
        fg_admit_fail(flow, job, err);
    return false;
}

static bool restore_some(struct fg_flow *flow)
{
    for (uint32_t i = 0; i < flow->sched.n_active; i++) {
        struct fg_job *job = flow->sched.active[i];
        struct fg_err err = {0};

        if (job->brought)
            continue;
        if (!handle_failure(flow, job, fg_prefill_restore(flow, job, &err), &err))
            return false;
    }
    return true;
}

static uint32_t pending(const struct fg_job *job)
{
    return job->brought ? job->n_tokens - fg_seq_length(job->seq) : 0;
}

static void add_piece(const struct fg_flow *flow, struct step *st, struct fg_job *job, uint32_t n)
{
    uint32_t from = fg_seq_length(job->seq);
    bool ends = from + n == job->n_tokens;

    job->piece = n;
    st->jobs[st->n] = job;
    st->pieces[st->n++] = (struct fg_step_span){.seq = job->seq,
                                                .tokens = job->tokens + from,
                                                .n = n,
                                                .n_logits = ends && !job->n_best,
                                                .logits = job->logits,
                                                .n_best = ends ? job->n_best : 0,
                                                .best = job->best};
    st->pages += fg_admit_pages(flow, from + n) - fg_admit_pages(flow, from);
}

/* First a token for each job that lacks one, then pieces of prompts as far as the batch goes, each
 * time beginning with another job, so that a long prompt does not hold up the short ones. */
static void plan(struct fg_flow *flow, struct step *st)
{
    struct fg_sched *s = &flow->sched;
    uint32_t budget = flow->runner.info.n_batch;

    st->n = st->pages = 0;
    for (uint32_t i = 0; i < s->n_active && budget; i++) {
        if (pending(s->active[i]) != 1)
            continue;
        add_piece(flow, st, s->active[i], 1);
        budget--;
    }
    for (uint32_t i = 0; i < s->n_active && budget; i++) {
        struct fg_job *job = s->active[(s->turn + i) % s->n_active];
        uint32_t n;

        if (pending(job) < 2)
            continue;
        n = fg_prefill_span(flow, job, budget);
        add_piece(flow, st, job, n);
        budget -= n;
    }
    s->turn++;
}

static void fail_step(struct fg_flow *flow, const struct step *st, const struct fg_err *err)
{
    for (uint32_t i = 0; i < st->n; i++)
        fg_admit_fail(flow, st->jobs[i], err);
}

static void follow_up(struct fg_flow *flow, const struct step *st)
{
    for (uint32_t i = 0; i < st->n; i++) {
        struct fg_job *job = st->jobs[i];
        struct fg_err err = {0};
        bool ended = false;
        int rc = fg_prefill_keep(flow, job, &err);

        if (rc == 0 && fg_seq_length(job->seq) == job->n_tokens)
            rc = fg_decode_next(flow, job, &ended, &err);
        if (rc) {
            /* The jobs behind this one lose their fresh logits; they compute them again. */
            fg_admit_recover(flow, &err);
            return;
        }
    }
}

/* Runs the step, and learns from it what prefill costs. */
static int run_step(struct fg_flow *flow, const struct step *st, struct fg_err *err)
{
    double begun = fg_account_now(), positions = 0;
    uint32_t n = 0;
    int rc;

    for (uint32_t i = 0; i < st->n; i++) {
        uint32_t from = fg_seq_length(st->pieces[i].seq);

        n += st->pieces[i].n;
        positions += fg_rate_positions(from, from + st->pieces[i].n);
    }
    rc = fg_engine_step(flow->runner.engine, st->pieces, st->n, err);
    if (rc == 0 && n >= MEASURED_TOKENS)
        fg_rate_add(&flow->prefill_rate, n, positions, (fg_account_now() - begun) / 1e3);
    return rc;
}

/* Forecasts hold up nobody and wait for nobody. */
static void answer_forecasts(struct fg_flow *flow)
{
    for (struct fg_job *job = flow->sched.waiting, *next; job; job = next) {
        next = job->next;
        if (job->req.mode == FG_MODE_FORECAST)
            fg_forecast(flow, job);
    }
}

/* Does a job that computes nothing yet go on without being woken? */
static bool may_go_on(const struct fg_sched *s)
{
    for (uint32_t i = 0; i < s->n_active; i++) {
        const struct fg_job *job = s->active[i];

        if (!job->brought && !job->leader && !job->restore.done && !job->restore.waits)
            return true;
    }
    return false;
}

bool fg_sched_turn(struct fg_flow *flow)
{
    struct step st;
    struct fg_err err = {0};
    int rc;

    fg_restore_reap(&flow->runner.prefix_cache, false);
    fg_offer_turn(&flow->runner.prefix_cache);
    fg_ending_turn(flow);
    drop_canceled(flow);
    answer_forecasts(flow);
    fg_admit_waiting(flow);
    if (!restore_some(flow))
        return true;
    plan(flow, &st);
    if (st.n == 0)
        return may_go_on(&flow->sched);
    if (st.pages && !fg_device_tier_make_room(flow->runner.vram, st.pages)) {
        if (fg_pages_held(&flow->runner.prefix_cache))
            return false; /* pages come free when it is read, which wakes this thread */
        fg_fail(&err, FG_EBUSY, "the device has no free KV page");
        if (!fg_admit_preempt(flow))
            fail_step(flow, &st, &err);
        return true;
    }
    rc = run_step(flow, &st, &err);
    if (rc == FG_EDEVICELOST)
        fg_admit_recover(flow, &err);
    else if (rc)
        fail_step(flow, &st, &err);
    else
        follow_up(flow, &st);
    return true;
}
