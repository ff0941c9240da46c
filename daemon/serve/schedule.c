/* The scheduler: one engine step after the other, each with a token of every job that decodes and
 * spans of the prompts that are being computed. While a step runs, jobs are admitted, their stored
 * prefixes are brought, and the next step is prepared; between two steps tokens are chosen, and
 * what was prepared goes, unless something happened that changes it. */
#include "base/log.h"
#include "admit.h"
#include "decode.h"
#include "ending.h"
#include "flow_state.h"
#include "forecast.h"
#include "job_state.h"
#include "prefill.h"
#include "prefix/held.h"

void fg_sched_init(struct fg_sched *s, struct fg_queue *wake)
{
    fg_ticket_init(&s->ticket, wake);
}

void fg_sched_finish(struct fg_sched *s)
{
    fg_ticket_finish(&s->ticket);
}

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

void fg_sched_unprepare(struct fg_sched *s, const struct fg_job *job)
{
    if (fg_batch_has(&s->next, job))
        fg_batch_drop(&s->next);
}

void fg_sched_stop(struct fg_flow *flow)
{
    struct fg_sched *s = &flow->sched;

    if (s->running.step) {
        fg_ticket_wait(&s->ticket, NULL);
        fg_batch_finish(flow, &s->running, NULL);
    }
    fg_batch_drop(&s->next);
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
        int rc;

        if (job->brought)
            continue;
        rc = fg_prefill_restore(flow, job, &err);
        if (rc == FG_EBUSY && fg_pages_held(&flow->runner.prefix_cache)) {
            job->restore.waits = true; /* pages come free in a moment, which wakes this thread */
            continue;
        }
        if (!handle_failure(flow, job, rc, &err))
            return false;
    }
    return true;
}

/* Beside a step that runs: the stored prefixes of other jobs. Whom to follow is decided between two
 * steps, where all lengths are known, and so is what to do where pages lack. After an error the
 * active list has changed. */
static int restore_beside(struct fg_flow *flow)
{
    for (uint32_t i = 0; i < flow->sched.n_active; i++) {
        struct fg_job *job = flow->sched.active[i];
        struct fg_err err = {0};
        int rc;

        if (job->brought || job->restore.done)
            continue;
        rc = fg_prefill_restore(flow, job, &err);
        if (rc == FG_EBUSY) {
            job->restore.waits = true;
            continue;
        }
        if (rc == FG_EDEVICELOST)
            fg_admit_recover(flow, &err);
        else if (rc)
            fg_admit_fail(flow, job, &err);
        if (rc)
            return rc;
    }
    return 0;
}

static void fail_jobs(struct fg_flow *flow, const struct fg_batch *b, const struct fg_err *err)
{
    for (uint32_t i = 0; i < b->n; i++)
        fg_admit_fail(flow, b->jobs[i], err);
}

/* What follows from the step that has ended. False: it failed. */
static bool follow_up(struct fg_flow *flow)
{
    struct fg_batch *b = &flow->sched.running;
    struct fg_err err = {0};
    int rc = fg_batch_finish(flow, b, &err);

    if (rc && rc != FG_EDEVICELOST)
        fail_jobs(flow, b, &err);
    for (uint32_t i = 0; rc == 0 && i < b->n; i++) {
        struct fg_job *job = b->jobs[i];

        fg_decode_prompt(flow, job, b->from[i]);
        rc = fg_prefill_keep(flow, job, b->from[i], &err);
        if (rc == 0 && fg_seq_length(job->seq) == job->n_tokens)
            rc = fg_decode_next(flow, job, &err);
    }
    /* Where the device is lost, jobs behind that one lose their fresh logits; they compute them
     * again. */
    if (rc == FG_EDEVICELOST)
        fg_admit_recover(flow, &err);
    return rc == 0;
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

/* Where there are no pages for it, that is dealt with between the steps. */
static void prepare_next(struct fg_flow *flow)
{
    struct fg_sched *s = &flow->sched;
    struct fg_err err;

    if (s->ahead)
        return;
    s->ahead = true;
    fg_batch_plan(flow, &s->next);
    if (s->next.n == 0 ||
        (s->next.pages && !fg_device_tier_make_room(flow->runner.vram, s->next.pages)))
        return;
    fg_batch_prepare(flow, &s->next, &err);
}

static bool beside_step(struct fg_flow *flow)
{
    fg_admit_waiting(flow);
    if (!flow->sched.running.step || restore_beside(flow))
        return true; /* the device was lost, or a job is gone */
    prepare_next(flow);
    return may_go_on(&flow->sched);
}

/* Makes s->next what is to be computed now: it was prepared, or is prepared anew.
 * FG_EBUSY: no pages. */
static int settle_next(struct fg_flow *flow, const struct fg_batch *now, struct fg_err *err)
{
    struct fg_sched *s = &flow->sched;

    if (s->next.step && fg_batch_equal(&s->next, now))
        return 0;
    fg_batch_drop(&s->next);
    s->next = *now;
    if (now->pages && !fg_device_tier_make_room(flow->runner.vram, now->pages))
        return fg_fail(err, FG_EBUSY, "the device has no free KV page");
    return fg_batch_prepare(flow, &s->next, err);
}

/* Begins the next step. False: there is nothing to do before the runner's queue wakes up. */
static bool begin_step(struct fg_flow *flow)
{
    struct fg_sched *s = &flow->sched;
    struct fg_err err = {0};
    struct fg_batch now;
    int rc;

    fg_batch_plan(flow, &now);
    if (now.n == 0) {
        fg_batch_drop(&s->next);
        return may_go_on(s);
    }
    rc = settle_next(flow, &now, &err);
    if (rc == FG_EBUSY && fg_pages_held(&flow->runner.prefix_cache))
        return false; /* pages come free when it is read, which wakes this thread */
    if (rc == FG_EBUSY && fg_admit_preempt(flow))
        return true;
    if (rc == 0)
        rc = fg_batch_submit(&s->next, &s->ticket, &err);
    if (rc == FG_EDEVICELOST)
        fg_admit_recover(flow, &err);
    else if (rc)
        fail_jobs(flow, &now, &err);
    if (rc)
        return true;
    s->running = s->next;
    s->next.step = NULL;
    s->ahead = false;
    s->turn++;
    return true;
}

/* No step runs: tokens are chosen, jobs come and go, and the next one begins. */
static bool between_steps(struct fg_flow *flow)
{
    struct fg_sched *s = &flow->sched;
    struct fg_err err = {0};
    bool busy = true;

    if (s->running.step && !follow_up(flow))
        return true;
    drop_canceled(flow);
    if (fg_decode_deferred(flow, &err)) {
        fg_admit_recover(flow, &err);
        return true;
    }
    fg_admit_waiting(flow);
    if (restore_some(flow))
        busy = begin_step(flow);
    for (uint32_t i = 0; i < s->n_active; i++)
        fg_decode_tell(flow, s->active[i]);
    return busy;
}

bool fg_sched_turn(struct fg_flow *flow)
{
    struct fg_sched *s = &flow->sched;

    fg_restore_reap(&flow->runner.prefix_cache, false);
    fg_offer_turn(&flow->runner.prefix_cache);
    fg_ending_turn(flow);
    answer_forecasts(flow);
    if (s->running.step && fg_ticket_pending(&s->ticket))
        return beside_step(flow);
    return between_steps(flow);
}
