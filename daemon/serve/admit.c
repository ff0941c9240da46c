/* Admit: which waiting jobs get a sequence, and which must give theirs back when pages run out or
 * the device is lost. A job that begins again finds its blocks in the caches, and its answer goes
 * on where it was: the bits of a token depend on the tokens before it and on nothing else. */
#include <stdlib.h>

#include "base/log.h"
#include "follow.h"
#include "admit.h"
#include "decode.h"
#include "ending.h"
#include "flow_state.h"
#include "job_state.h"
#include "sweep.h"

uint32_t fg_admit_pages(const struct fg_flow *flow, uint32_t n)
{
    return flow->runner.prefix_cache.page_bytes ? (n + FG_BLOCK_TOKENS - 1) / FG_BLOCK_TOKENS : 0;
}

/* Are there pages for job's tokens, counting what VRAM already has of them, and for what the active
 * jobs still have to compute? */
static bool fits(const struct fg_flow *flow, const struct fg_job *job)
{
    const struct fg_runner *m = &flow->runner;
    const struct fg_prefix *p = &job->prefix;
    uint64_t need = fg_admit_pages(flow, job->n_tokens + 1), have;

    if (flow->sched.n_active == 0 || m->prefix_cache.page_bytes == 0)
        return true;
    have = (uint64_t)fg_engine_free_pages(m->engine) + fg_device_tier_evictable(m->vram);
    for (uint32_t i = 0; i < flow->sched.n_active; i++) {
        const struct fg_job *a = flow->sched.active[i];

        need += fg_admit_pages(flow, a->n_tokens + 1);
        need -= !a->brought && a->leader ? a->common : fg_seq_pages(a->seq);
    }
    if (fg_job_reads(job)) {
        for (uint32_t b = 0; b < p->n; b++)
            have += fg_device_tier_find(m->vram, &p->keys[b],
                                        job->tokens + (size_t)b * FG_BLOCK_TOKENS, NULL);
        have -= fg_device_tier_evictable_among(m->vram, p->keys, p->n);
    }
    return have >= need;
}

static int start(struct fg_flow *flow, struct fg_job *job, struct fg_err *err)
{
    struct fg_prefix_cache *r = &flow->runner.prefix_cache;
    bool wants_logits;
    int rc;

    rc = fg_rules_init(&job->rules, &job->req, &flow->vocabulary, err);
    if (rc)
        return rc;
    job->n_best = job->req.n_logprobs < 0 && !job->req.want_prompt
                      ? fg_rules_need(&job->rules, &job->req, flow->sampler.n_vocab)
                      : 0;
    job->spare_logits = job->n_best && job->req.form;
    wants_logits = !job->n_best || job->spare_logits;
    if (wants_logits && !job->logits)
        job->logits = malloc((job->req.want_prompt ? FG_PROMPT_LOGITS : 1) * (size_t)flow->n_vocab *
                             sizeof *job->logits);
    if (wants_logits && !job->logits)
        return fg_fail(err, FG_ENOMEM, "no memory for the logits");
    rc = fg_seq_create(r->engine, &job->seq, err);
    if (rc)
        return rc;
    if (!job->answering)
        fg_answer_text_init(&job->answer, &flow->vocabulary, &job->req, job->start);
    job->answering = true;
    fg_account_mark(&job->marks.admitted);
    job->caching = job->req.cache == FG_CACHE_READ_WRITE;
    job->part = 0;
    job->brought = job->followed = job->disowned = job->deferred = false;
    job->leader = NULL;
    job->restore = (struct fg_restore){.prefix = &job->prefix, .tokens = job->tokens, .done = true};
    if (fg_job_reads(job)) {
        /* At least one token is left to compute: its logits are wanted. */
        fg_restore_begin(&job->restore, r, &job->prefix, job->tokens,
                         fg_sweep_trusted(flow, job, (job->n_tokens - 1) / FG_BLOCK_TOKENS));
        /* Blocks that were seen before, without a state where the prompts part: leave one there. */
        if (job->restore.found > job->restore.target)
            job->part = job->restore.found * FG_BLOCK_TOKENS;
    }
    fg_job_show(job, FG_PHASE_RESTORE);
    return 0;
}

void fg_admit_send_back(struct fg_flow *flow, struct fg_job *job)
{
    fg_admit_remove(flow, job);
    fg_job_show(job, FG_PHASE_QUEUED);
    fg_sched_add(&flow->sched, job);
}

/* Jobs that could only wait for another one take the places that nobody else wants.
 * *follows: there are no others. */
static struct fg_job *next_job(const struct fg_flow *flow, bool *follows)
{
    const struct fg_sched *s = &flow->sched;
    struct fg_job *best = NULL, *idle = s->waiting;

    for (struct fg_job *job = s->waiting; job; job = job->next) {
        if (fg_fair_before(s, job, idle))
            idle = job;
        if ((!best || fg_fair_before(s, job, best)) && !fg_follow_would(flow, job))
            best = job;
    }
    *follows = !best;
    return best ? best : idle;
}

/* Is there a place, or can one be had from a job that only waits for another? */
static bool find_place(struct fg_flow *flow, bool follows)
{
    struct fg_job *idle = NULL;

    if (flow->sched.n_active < flow->n_seq)
        return true;
    if (!follows)
        idle = fg_follow_idle(flow);
    if (idle)
        fg_admit_send_back(flow, idle);
    return idle != NULL;
}

void fg_admit_waiting(struct fg_flow *flow)
{
    struct fg_sched *s = &flow->sched;

    while (s->waiting && (s->n_active < flow->n_seq || fg_follow_idle(flow))) {
        struct fg_err err = {0};
        bool follows;
        struct fg_job *job = next_job(flow, &follows);
        int rc = 0;

        if (!flow->runner.engine)
            rc = fg_runner_reopen(&flow->runner, &err);
        if (rc == 0 && (!fits(flow, job) || !find_place(flow, follows)))
            return;
        if (rc == 0)
            rc = start(flow, job, &err);
        if (rc == FG_EDEVICELOST && job->replays++ == 0) {
            fg_admit_recover(flow, &err); /* the job still waits */
            return;
        }
        if (rc) {
            fg_admit_fail(flow, job, &err);
            continue;
        }
        fg_admit_withdraw(flow, job);
        s->active[s->n_active++] = job;
        s->served = job->req.tenant;
    }
}

static void drop_sequence(struct fg_flow *flow, struct fg_job *job)
{
    fg_sched_unprepare(&flow->sched, job);
    fg_restore_stop(&job->restore, &flow->runner.prefix_cache);
    fg_trail_finish(&job->trail, &flow->runner.prefix_cache);
    if (job->req.cache != FG_CACHE_NONE)
        fg_restore_drop(&flow->runner.prefix_cache, job->seq, job->prefix.keys);
    else
        fg_seq_destroy(job->seq);
    job->seq = NULL;
}

void fg_admit_remove(struct fg_flow *flow, struct fg_job *job)
{
    struct fg_sched *s = &flow->sched;
    uint32_t i = 0;

    fg_decode_tell(flow, job);
    fg_follow_abandon(flow, job);
    drop_sequence(flow, job);
    while (i < s->n_active && s->active[i] != job)
        i++;
    if (i == s->n_active)
        return;
    for (s->n_active--; i < s->n_active; i++)
        s->active[i] = s->active[i + 1];
}

void fg_admit_withdraw(struct fg_flow *flow, struct fg_job *job)
{
    struct fg_job **at = &flow->sched.waiting;

    while (*at && *at != job)
        at = &(*at)->next;
    if (*at)
        *at = job->next;
}

void fg_admit_fail(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err)
{
    fg_admit_withdraw(flow, job);
    fg_admit_remove(flow, job);
    fg_ending_failed(flow, job, err);
    fg_ending_leave(flow, job);
}

bool fg_admit_preempt(struct fg_flow *flow)
{
    struct fg_sched *s = &flow->sched;
    struct fg_job *youngest = NULL;

    if (s->n_active < 2)
        return false;
    for (uint32_t i = 0; i < s->n_active; i++)
        if (!youngest || s->active[i]->id > youngest->id)
            youngest = s->active[i];
    fg_job_log(FG_LOG_INFO, youngest, "preempted=pages");
    fg_admit_send_back(flow, youngest);
    return true;
}

void fg_admit_recover(struct fg_flow *flow, const struct fg_err *cause)
{
    struct fg_sched *s = &flow->sched;
    struct fg_job *jobs[FG_MAX_ACTIVE];
    uint32_t n = s->n_active;
    struct fg_err err = {0};
    char text[FG_LOG_TEXT];
    int rc;

    fg_log(FG_LOG_ERROR, "flow", "device=lost jobs=%u cause=\"%s\"", n,
           fg_log_text(text, cause->text));
    fg_sched_stop(flow);
    for (uint32_t i = 0; i < n; i++) {
        jobs[i] = s->active[i];
        fg_decode_tell(flow, jobs[i]);
        fg_restore_stop(&jobs[i]->restore, &flow->runner.prefix_cache);
        fg_trail_finish(&jobs[i]->trail, &flow->runner.prefix_cache);
        fg_seq_destroy(jobs[i]->seq);
        jobs[i]->seq = NULL;
    }
    s->n_active = 0;
    rc = fg_runner_reopen(&flow->runner, &err);
    if (rc == 0)
        fg_log(FG_LOG_WARN, "flow", "device=reopened jobs=%u", n);
    for (uint32_t i = 0; i < n; i++) {
        if (rc == 0 && jobs[i]->replays++ == 0) {
            fg_admit_send_back(flow, jobs[i]);
            continue;
        }
        if (rc == 0)
            fg_fail(&err, FG_EDEVICELOST, "the device was lost twice during this request: %.400s",
                    cause->text);
        fg_admit_fail(flow, jobs[i], &err);
    }
}
