#include "completion.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/common/body.h"
#include "api/common/job_event.h"
#include "api/common/pending.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/json_in.h"
#include "request_json.h"
#include "writer.h"

struct fg_completion {
    struct fg_pending pending;
    struct fg_pending_list *all;
    enum fg_completion_kind kind;
    struct fg_tenant tenant;
    struct fg_work work; /* reads the body; builds a large answer */
    struct fg_body *body;
    struct fg_api_request parsed;
    struct fg_http_error error; /* why it could not be read, when rc says so */
    int rc;
    struct fg_job *job; /* NULL before it is submitted */
    struct fg_writer writer;
    double begun; /* fg_clock_ms() */
    atomic_bool lost_event;
    struct fg_job_event_item last; /* DONE and FAILED must arrive whatever memory there is */
};

_Static_assert(offsetof(struct fg_completion, pending) == 0, "the first member");

static struct fg_completion *of_work(struct fg_work *work)
{
    return (struct fg_completion *)((char *)work - offsetof(struct fg_completion, work));
}

/* Runs on the backend's threads. */
static void sink(void *ctx, const struct fg_job_event *event)
{
    struct fg_completion *x = ctx;
    struct fg_job_event_item *item;

    if (event->kind == FG_EVENT_DONE || event->kind == FG_EVENT_FAILED) {
        x->last.event = *event;
        fg_event_queue_post(&x->all->events, &x->last.link);
        return;
    }
    item = fg_job_event_copy(x, event);
    if (item)
        fg_event_queue_post(&x->all->events, &item->link);
    else
        atomic_store(&x->lost_event, true);
}

static void cancel(struct fg_completion *x)
{
    const struct fg_backend *b = &x->all->service->backend;

    if (x->job)
        b->cancel(b->ctx, x->job);
}

static void cancel_pending(struct fg_pending *p)
{
    cancel((struct fg_completion *)p);
}

/* Its client has left. */
static void on_lost(void *arg)
{
    cancel(arg);
}

static void end(struct fg_completion *x)
{
    struct fg_service *s = x->all->service;

    TAILQ_REMOVE(&x->all->list, &x->pending, link);
    if (x->job)
        s->backend.release(s->backend.ctx, x->job);
    fg_api_request_finish(&x->parsed);
    fg_writer_finish(&x->writer);
    free(x);
    s->ended(s->ended_ctx);
}

static void log_end(const struct fg_completion *x, const struct fg_job_event *e)
{
    const struct fg_backend *b = &x->all->service->backend;
    const struct fg_job_account *a = &e->account;
    unsigned long long id = b->job_id(b->ctx, x->job);
    int status = x->writer.request.status, stream = x->writer.answer.stream;
    double ms = fg_clock_ms() - x->begun;

    if (e->kind == FG_EVENT_DONE)
        fg_log(FG_LOG_INFO, "api",
               "job=%llu status=%d stream=%d prompt=%u reused=%u completion=%u ms=%.1f", id, status,
               stream, a->prompt_tokens, a->reused_tokens, a->completion_tokens, ms);
    else
        fg_log(FG_LOG_INFO, "api", "job=%llu status=%d stream=%d error=\"%s\" ms=%.1f", id, status,
               stream, fg_strerror(e->error.code), ms);
}

static void build(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    fg_writer_build(&x->writer, &x->last.event);
}

static void on_built(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    if (x->writer.request.ev)
        fg_writer_send(&x->writer);
    log_end(x, &x->last.event);
    end(x);
}

static void on_last(struct fg_completion *x, const struct fg_job_event *e)
{
    struct fg_service *s = x->all->service;
    struct fg_http_error error;

    if (atomic_load(&x->lost_event))
        fg_writer_nomem(&x->writer);
    if (x->writer.request.ev && e->kind == FG_EVENT_FAILED) {
        fg_http_error_from(&error, &e->error, s->draining);
        fg_writer_fail(&x->writer, &error);
    } else if (x->writer.request.ev && x->writer.answer.stream) {
        fg_writer_end_stream(&x->writer, e);
    } else if (x->writer.request.ev) {
        x->work.run = build;
        x->work.done = on_built;
        fg_service_work(s, &x->work, fg_writer_bytes(&x->writer));
        return;
    }
    log_end(x, e);
    end(x);
}

static void on_event(void *ctx, struct fg_link *item)
{
    struct fg_job_event_item *i = (struct fg_job_event_item *)item;
    struct fg_completion *x = i->to;
    bool ok;

    (void)ctx;
    if (i == &x->last) {
        on_last(x, &i->event);
        return;
    }
    if (i->event.kind == FG_EVENT_DELTA)
        ok = fg_writer_delta(&x->writer, &i->event);
    else
        ok = fg_writer_progress(&x->writer, &i->event);
    if (!ok)
        cancel(x);
    free(i);
}

/* --- from the request to the job --- */

static int parse(struct fg_completion *x, const json_t *body)
{
    bool explain = x->kind == FG_COMPLETION_EXPLAIN;
    bool chat = explain ? json_object_get(body, "messages") != NULL : x->kind == FG_COMPLETION_CHAT;
    int rc = fg_api_request_parse(body, chat, &x->all->service->info, &x->parsed, &x->error);

    if (rc == 0 && explain) {
        x->parsed.job.mode = FG_MODE_FORECAST;
        x->parsed.stream = false;
    }
    return rc;
}

static void read_body(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);
    json_t *body = NULL;

    x->rc = fg_body_parse(x->body, &body, &x->error);
    if (x->rc == 0)
        x->rc = parse(x, body);
    json_decref(body);
    fg_body_pass(x->body, x->rc ? NULL : &x->parsed.job, 0);
    x->body = NULL;
}

static int submit(struct fg_completion *x)
{
    struct fg_service *s = x->all->service;
    struct fg_writer *w = &x->writer;
    struct fg_err err = {0};

    w->tools = x->parsed.tools;
    w->forecast = x->parsed.job.mode == FG_MODE_FORECAST;
    w->answer.chat = x->parsed.chat;
    w->answer.stream = x->parsed.stream;
    w->answer.include_usage = x->parsed.include_usage;
    w->answer.n_logprobs = x->parsed.job.n_logprobs;
    if (fg_answer_init(&w->answer, &s->info))
        return fg_http_fail(&x->error, 500, NULL, NULL, "no random id could be drawn");
    x->parsed.job.tenant = x->tenant;
    if (s->backend.submit(s->backend.ctx, &x->parsed.job, sink, x, &x->job, &err) == 0)
        return 0;
    x->job = NULL;
    fg_http_error_from(&x->error, &err, s->draining);
    return FG_EINVAL;
}

static void on_read(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    fg_body_free(x->body); /* was not read: the API is going down */
    x->body = NULL;
    if (x->writer.request.ev && x->rc == 0)
        x->rc = submit(x);
    if (x->writer.request.ev && x->rc)
        fg_writer_fail(&x->writer, &x->error);
    if (!x->job)
        end(x);
}

void fg_completions_start(struct fg_pending_list *all, struct fg_request *r,
                          const struct fg_tenant *tenant, enum fg_completion_kind kind)
{
    size_t bytes = fg_request_body_bytes(r);
    struct fg_completion *x = calloc(1, sizeof *x);
    struct fg_body *body = x ? fg_request_take_body(r) : NULL;
    struct fg_http_error e;

    fg_http_fail(&e, 503, NULL, "draining", "the daemon is shutting down");
    if (!body)
        fg_json_nomem(&e);
    if (!body || all->service->draining) {
        free(x);
        fg_body_free(body);
        fg_reply_error(r, &e);
        return;
    }
    x->all = all;
    x->kind = kind;
    x->tenant = *tenant;
    x->body = body;
    x->rc = FG_ECANCELED;
    x->error = e;
    x->last.to = x;
    atomic_init(&x->lost_event, false);
    x->begun = fg_clock_ms();
    TAILQ_INSERT_TAIL(&all->list, &x->pending, link);
    fg_request_keep(&x->writer.request, r, on_lost, x);
    x->work.run = read_body;
    x->work.done = on_read;
    fg_service_work(all->service, &x->work, bytes);
}

int fg_completions_create(struct fg_service *service, struct event_base *base,
                          struct fg_pending_list **out, struct fg_err *err)
{
    return fg_pending_create(service, base, on_event, cancel_pending, out, err);
}
