/* The life of a job: submitted, listed, told about, done or failed, released. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_state.h"
#include "job_state.h"
#include "prompt.h"

void fg_job_unref(struct fg_job *job)
{
    if (atomic_fetch_sub(&job->refs, 1) != 1)
        return;
    fg_job_request_finish(&job->req);
    if (job->answering)
        fg_answer_text_finish(&job->answer);
    fg_rules_finish(&job->rules);
    fg_constraint_finish(&job->constraint);
    fg_prefix_finish(&job->prefix);
    free(job->logits);
    free(job->tokens);
    free(job);
}

void fg_job_release(struct fg_job *job)
{
    if (job)
        fg_job_unref(job);
}

void fg_job_cancel(struct fg_job *job)
{
    /* Whoever has the job looks at this between its pieces of work. */
    atomic_store(&job->canceled, true);
    fg_queue_wake(&job->flow->gpu_queue);
}

bool fg_job_canceled(const struct fg_job *job)
{
    return atomic_load(&job->canceled);
}

uint64_t fg_job_id(const struct fg_job *job)
{
    return job->id;
}

/* Under flow->lock. */
static void enlist(struct fg_flow *flow, struct fg_job *job)
{
    job->id = ++flow->next_id;
    job->older = flow->newest;
    if (flow->newest)
        flow->newest->newer = job;
    else
        flow->oldest = job;
    flow->newest = job;
}

static void delist(struct fg_flow *flow, struct fg_job *job)
{
    pthread_mutex_lock(&flow->lock);
    if (job->older)
        job->older->newer = job->newer;
    else
        flow->oldest = job->newer;
    if (job->newer)
        job->newer->older = job->older;
    else
        flow->newest = job->older;
    fg_fair_leave(&flow->fair, &job->req.tenant);
    pthread_mutex_unlock(&flow->lock);
}

int fg_flow_submit(struct fg_flow *flow, struct fg_job_request *request, fg_job_sink *sink,
                   void *sink_ctx, struct fg_job **out, struct fg_err *err)
{
    struct fg_job *job = calloc(1, sizeof *job);
    struct fg_key root;
    int rc = 0;

    *out = NULL;
    if (!job) {
        fg_job_request_finish(request);
        return fg_fail(err, FG_ENOMEM, "no memory for a request");
    }
    job->flow = flow;
    job->req = *request;
    *request = (struct fg_job_request){0};
    job->sink = sink;
    job->sink_ctx = sink_ctx;
    atomic_init(&job->refs, 2);
    fg_trail_init(&job->trail);
    root = fg_flow_root(flow, &job->req.tenant);
    fg_prefix_init(&job->prefix, &root);
    fg_account_mark(&job->marks.submitted);
    pthread_mutex_lock(&flow->lock);
    if (flow->draining)
        rc = fg_fail(err, FG_EBUSY, "the daemon is shutting down");
    else
        rc = fg_fair_enter(&flow->fair, &job->req.tenant, err);
    if (rc == 0) {
        enlist(flow, job);
        *out = job; /* before the first event can come */
        fg_queue_post(&flow->texts[fg_prompt_is_large(&job->req)].queue, &job->link);
    }
    pthread_mutex_unlock(&flow->lock);
    if (rc) {
        atomic_store(&job->refs, 1);
        fg_job_unref(job);
    }
    return rc;
}

size_t fg_flow_jobs(struct fg_flow *flow, const struct fg_tenant *tenant, struct fg_job_status *out,
                    size_t max)
{
    double now = fg_account_now();
    size_t n = 0;

    pthread_mutex_lock(&flow->lock);
    for (struct fg_job *j = flow->oldest; j; j = j->newer) {
        if (tenant && !fg_same_tenant(tenant, &j->req.tenant))
            continue;
        if (n++ >= max)
            continue;
        out[n - 1] = (struct fg_job_status){.id = j->id,
                                            .phase = (enum fg_job_phase)atomic_load(&j->phase),
                                            .prompt_tokens = atomic_load(&j->show_prompt),
                                            .done_tokens = atomic_load(&j->show_done),
                                            .reused_tokens = atomic_load(&j->show_reused),
                                            .generated_tokens = atomic_load(&j->show_generated),
                                            .age_ms = now - j->marks.submitted};
    }
    pthread_mutex_unlock(&flow->lock);
    return n;
}

void fg_flow_cancel_all(struct fg_flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    for (struct fg_job *j = flow->oldest; j; j = j->newer)
        fg_job_cancel(j);
    pthread_mutex_unlock(&flow->lock);
}

void fg_job_show(struct fg_job *job, enum fg_job_phase phase)
{
    uint32_t done = job->seq ? fg_seq_length(job->seq) : 0;

    atomic_store(&job->phase, (uint32_t)phase);
    atomic_store(&job->show_prompt, job->n_prompt);
    atomic_store(&job->show_done, done < job->n_prompt ? done : job->n_prompt);
    atomic_store(&job->show_reused, job->account.reused_tokens);
    atomic_store(&job->show_generated, job->account.completion_tokens);
}

static void log_line(enum fg_log_level level, const struct fg_job *job, const char *cause,
                     const char *fmt, va_list ap)
{
    char text[FG_LOG_TEXT], what[400];

    vsnprintf(what, sizeof what, fmt, ap);
    fg_log(level, "flow", "job=%llu %s%s%s%s%s%s", (unsigned long long)job->id, job->req.who,
           *job->req.who ? " " : "", what, cause ? " cause=\"" : "",
           cause ? fg_log_text(text, cause) : "", cause ? "\"" : "");
}

void fg_job_log(enum fg_log_level level, const struct fg_job *job, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line(level, job, NULL, fmt, ap);
    va_end(ap);
}

void fg_job_log_cause(enum fg_log_level level, const struct fg_job *job, const struct fg_err *cause,
                      const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line(level, job, cause->text, fmt, ap);
    va_end(ap);
}

void fg_job_begun(struct fg_job *job)
{
    bool wanted = job->req.want_tokens || job->req.want_prompt;
    struct fg_job_event e = {.kind = FG_EVENT_BEGUN,
                             .start = job->start,
                             .prompt = wanted ? job->tokens : NULL,
                             .n_prompt = wanted ? job->n_prompt : 0};

    job->sink(job->sink_ctx, &e);
}

void fg_job_progress(struct fg_job *job)
{
    uint32_t done = atomic_load(&job->show_done);
    struct fg_job_event e = {.kind = FG_EVENT_PROGRESS,
                             .done = done,
                             .total = job->n_prompt,
                             .reused = job->account.reused_tokens,
                             .written = job->account.written_tokens,
                             .written_long = job->account.written_long_tokens};

    /* A job that begins again says nothing until it is where it was. */
    if (!job->req.want_progress || (job->told && done < job->told))
        return;
    job->told = done;
    job->sink(job->sink_ctx, &e);
}

void fg_job_prompt(struct fg_job *job, const struct fg_job_token *tokens, size_t n)
{
    struct fg_job_event e = {.kind = FG_EVENT_PROMPT, .text = "", .tokens = tokens, .n_tokens = n};

    job->sink(job->sink_ctx, &e);
}

void fg_job_delta(struct fg_job *job, struct fg_str text, const struct fg_job_token *token)
{
    struct fg_job_event e = {.kind = FG_EVENT_DELTA,
                             .text = text.n ? text.p : "",
                             .text_bytes = text.n,
                             .tokens = token,
                             .n_tokens = token ? 1 : 0};

    if (text.n || token)
        job->sink(job->sink_ctx, &e);
}

static void log_account(const struct fg_job *job, enum fg_finish_reason finish)
{
    const struct fg_job_account *a = &job->account;

    fg_job_log(FG_LOG_INFO, job,
               "finish=%s prompt=%u reused=%u recomputed=%u source=%s reason=%s "
               "diverged_at=%" PRId64 " generated=%u queue_ms=%.1f restore_ms=%.1f prefill_ms=%.1f "
               "first_token_ms=%.1f decode_ms=%.1f",
               finish == FG_FINISH_STOP ? "stop" : "length", a->prompt_tokens, a->reused_tokens,
               a->recomputed_tokens, fg_source_name(a->source), fg_reason_name(a->why.reason),
               a->why.diverged_at, a->completion_tokens, a->queue_ms, a->restore_ms, a->prefill_ms,
               a->first_token_ms, a->decode_ms);
}

void fg_job_done(struct fg_flow *flow, struct fg_job *job, enum fg_finish_reason finish)
{
    struct fg_job_event e = {.kind = FG_EVENT_DONE, .finish = finish};

    if (job->req.mode != FG_MODE_FORECAST) {
        fg_account_mark(&job->marks.ended);
        fg_account_times(&job->marks, &job->account);
        log_account(job, finish);
    }
    if (finish == FG_FINISH_STOP && job->answer.stop.hit)
        e.stop = job->answer.stop.which + 1;
    e.account = job->account;
    delist(flow, job);
    job->sink(job->sink_ctx, &e);
}

void fg_job_failed(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err)
{
    struct fg_job_event e = {.kind = FG_EVENT_FAILED, .error = *err};

    enum fg_log_level level = err->code == FG_ECANCELED ? FG_LOG_INFO : FG_LOG_WARN;

    if (fg_request_at_fault(err->code))
        fg_job_log(level, job, "failed=\"%s\"", fg_strerror(err->code));
    else
        fg_job_log_cause(level, job, err, "failed=\"%s\"", fg_strerror(err->code));
    delist(flow, job);
    job->sink(job->sink_ctx, &e);
}

int fg_job_append(struct fg_job *job, int32_t token, struct fg_err *err)
{
    if (job->n_tokens == job->cap_tokens) {
        uint32_t cap = job->cap_tokens + job->cap_tokens / 2 + FG_BLOCK_TOKENS;
        int32_t *tokens = realloc(job->tokens, cap * sizeof *tokens);

        if (!tokens)
            return fg_fail(err, FG_ENOMEM, "no memory for %u tokens", cap);
        job->tokens = tokens;
        job->cap_tokens = cap;
    }
    job->tokens[job->n_tokens++] = token;
    return fg_prefix_extend(&job->prefix, job->tokens, job->n_tokens, err);
}
