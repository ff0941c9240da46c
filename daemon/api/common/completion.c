#include "completion.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "body.h"
#include "dialect.h"
#include "http/json_in.h"
#include "job_event.h"
#include "pending.h"

enum {
    BEGIN_MS = 1500, /* then a stream begins, though its prompt may still turn out to be too long */
    TICK_MS = 500,   /* how often a stream is looked at */
};

/* A job of those that were asked for. */
struct part {
    struct fg_completion *x;
    struct fg_job_request asked;   /* until it is submitted */
    struct fg_job *job;            /* NULL before it is submitted */
    struct fg_job_event_item last; /* DONE and FAILED must arrive whatever memory there is */
};

struct fg_completion {
    struct fg_pending pending;
    struct fg_pending_list *all;
    const struct fg_dialect *dialect;
    struct fg_request *answer; /* the dialect's */
    struct fg_asking asking;
    struct fg_tenant tenant;
    char who[FG_JOB_WHO];
    struct fg_work work; /* reads the body; builds a large answer; frees it */
    struct part *parts;
    size_t n_parts, n_running;  /* jobs whose last event has not come */
    struct fg_http_error error; /* why it could not be read, when rc says so */
    int rc;
    struct event *tick;
    double begun; /* fg_clock_ms() */
    atomic_bool lost_event;
};

_Static_assert(offsetof(struct fg_completion, pending) == 0, "the first member");

static struct fg_completion *of_work(struct fg_work *work)
{
    return (struct fg_completion *)((char *)work - offsetof(struct fg_completion, work));
}

/* Runs on the backend's threads. */
static void sink(void *ctx, const struct fg_job_event *event)
{
    struct part *c = ctx;
    struct fg_job_event_item *item;

    if (event->kind == FG_EVENT_DONE || event->kind == FG_EVENT_FAILED) {
        c->last.event = *event;
        fg_event_queue_post(&c->x->all->events, &c->last.link);
        return;
    }
    item = fg_job_event_copy(c, event);
    if (item)
        fg_event_queue_post(&c->x->all->events, &item->link);
    else
        atomic_store(&c->x->lost_event, true);
}

static void cancel(struct fg_completion *x)
{
    const struct fg_backend *b = &x->all->service->backend;

    if (!x->n_running)
        return; /* a worker may be making the parts, or freeing them */
    for (size_t i = 0; i < x->n_parts; i++)
        if (x->parts[i].job)
            b->cancel(b->ctx, x->parts[i].job);
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

/* Frees what may be large. */
static void finish(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    for (size_t i = 0; i < x->n_parts; i++)
        fg_job_request_finish(&x->parts[i].asked);
    free(x->parts);
    json_decref(x->asking.json);
    x->dialect->finish(x->answer);
    free(x->answer);
    x->answer = NULL;
}

static void on_finished(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);
    struct fg_service *s = x->all->service;

    if (x->answer) /* the workers are gone */
        finish(work);
    TAILQ_REMOVE(&x->all->list, &x->pending, link);
    free(x);
    s->ended(s->ended_ctx);
}

/* It has been answered, or its client has left. */
static void end(struct fg_completion *x)
{
    struct fg_service *s = x->all->service;

    if (x->tick)
        event_free(x->tick);
    for (size_t i = 0; i < x->n_parts; i++)
        if (x->parts[i].job)
            s->backend.release(s->backend.ctx, x->parts[i].job);
    x->work.run = finish;
    x->work.done = on_finished;
    fg_service_work(s, &x->work, x->dialect->size(x->answer));
}

static void log_end(const struct part *c)
{
    const struct fg_completion *x = c->x;
    const struct fg_backend *b = &x->all->service->backend;
    const struct fg_job_event *e = &c->last.event;
    const struct fg_job_account *a = &e->account;
    unsigned long long id = b->job_id(b->ctx, c->job);
    int status = x->answer->status, stream = x->asking.stream;
    double ms = fg_clock_ms() - x->begun;

    if (e->kind == FG_EVENT_DONE)
        fg_log(FG_LOG_INFO, "api",
               "job=%llu %s status=%d stream=%d prompt=%u reused=%u completion=%u ms=%.1f", id,
               x->who, status, stream, a->prompt_tokens, a->reused_tokens, a->completion_tokens,
               ms);
    else
        fg_log(FG_LOG_INFO, "api", "job=%llu %s status=%d stream=%d error=\"%s\" ms=%.1f", id,
               x->who, status, stream, fg_strerror(e->error.code), ms);
}

/* All that were submitted have ended. */
static void end_all(struct fg_completion *x)
{
    for (size_t i = 0; i < x->n_parts; i++)
        if (x->parts[i].job)
            log_end(&x->parts[i]);
    end(x);
}

static void build(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    x->dialect->build(x->answer);
}

static void on_built(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    if (x->answer->ev)
        x->dialect->send(x->answer);
    end_all(x);
}

static void on_last(struct part *c, const struct fg_job_event *e)
{
    struct fg_completion *x = c->x;
    struct fg_service *s = x->all->service;
    struct fg_http_error error;

    x->n_running--;
    if (atomic_load(&x->lost_event)) {
        fg_json_nomem(&error);
        x->dialect->fail(x->answer, &error);
    }
    if (e->kind == FG_EVENT_FAILED) {
        fg_http_error_from(&error, &e->error, s->draining);
        x->dialect->fail(x->answer, &error);
    } else {
        x->asking.job = c->job;
        x->dialect->event(x->answer, (size_t)(c - x->parts), e);
    }
    if (!x->answer->ev)
        cancel(x);
    if (x->n_running)
        return;
    if (x->answer->ev && x->asking.stream)
        x->dialect->end(x->answer);
    if (x->answer->ev) {
        x->work.run = build;
        x->work.done = on_built;
        fg_service_work(s, &x->work, x->dialect->size(x->answer));
        return;
    }
    end_all(x);
}

static void on_event(void *ctx, struct fg_link *item)
{
    struct fg_job_event_item *i = (struct fg_job_event_item *)item;
    struct part *c = i->to;

    (void)ctx;
    if (i == &c->last) {
        on_last(c, &i->event);
        return;
    }
    if (!c->x->dialect->event(c->x->answer, (size_t)(c - c->x->parts), &i->event))
        cancel(c->x);
    free(i);
}

/* A stream's clock: it begins though nothing is known yet, and says something where nothing
 * comes. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct fg_completion *x = arg;

    (void)fd;
    (void)what;
    if (fg_clock_ms() - x->begun >= BEGIN_MS)
        x->dialect->begin(x->answer);
    x->dialect->keep_alive(x->answer);
}

/* --- from the request to the jobs --- */

static int make_parts(struct fg_completion *x, size_t n)
{
    struct part *parts = realloc(x->parts, n * sizeof *parts);

    if (!parts)
        return fg_json_nomem(&x->error);
    memset(parts + x->n_parts, 0, (n - x->n_parts) * sizeof *parts);
    x->parts = parts;
    x->n_parts = n;
    for (size_t i = 0; i < n; i++) {
        parts[i].x = x;
        parts[i].last.to = &parts[i];
    }
    return 0;
}

/* The other jobs. */
static void read_more(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);
    struct fg_asking *a = &x->asking;

    x->rc = 0;
    for (size_t i = 1; x->rc == 0 && i < x->n_parts; i++) {
        x->rc = x->dialect->more(x->answer, a, i, &x->parts[i].asked, &x->error);
        if (x->rc == 0)
            x->rc = fg_body_charge(a->body, fg_body_texts(&x->parts[i].asked), &x->error);
    }
}

static void drop_json(struct fg_asking *a)
{
    json_decref(a->json);
    a->json = NULL;
}

static void read_body(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);
    struct fg_asking *a = &x->asking;

    a->n = 1;
    x->rc = fg_body_parse(a->body, &a->json, &x->error);
    if (x->rc == 0)
        x->rc = make_parts(x, 1);
    if (x->rc == 0)
        x->rc = x->dialect->read(x->answer, a, &x->parts[0].asked, &x->error);
    if (x->rc == 0)
        x->rc = make_parts(x, a->n);
    if (x->rc == 0 && a->n > 1)
        return; /* the body holds what its JSON takes */
    drop_json(a);
    fg_body_pass(a->body, x->rc ? NULL : &x->parts[0].asked, 0);
    a->body = NULL;
}

static int start_clock(struct fg_completion *x)
{
    const struct timeval tick = {.tv_usec = TICK_MS * 1000};

    if (!x->asking.stream)
        return 0;
    x->tick = event_new(x->all->base, -1, EV_PERSIST, on_tick, x);
    return x->tick && event_add(x->tick, &tick) == 0 ? 0 : fg_json_nomem(&x->error);
}

static int submit_part(struct fg_completion *x, struct part *c)
{
    struct fg_service *s = x->all->service;
    struct fg_err err = {0};

    c->asked.tenant = x->tenant;
    memcpy(c->asked.who, x->who, sizeof x->who);
    if (s->backend.submit(s->backend.ctx, &c->asked, sink, c, &c->job, &err)) {
        c->job = NULL;
        fg_http_error_from(&x->error, &err, s->draining);
        return FG_EINVAL;
    }
    x->n_running++;
    return 0;
}

static int submit(struct fg_completion *x)
{
    int rc = x->dialect->start(x->answer, &x->asking, &x->error);

    if (rc == 0)
        rc = start_clock(x);
    for (size_t i = 0; rc == 0 && i < x->n_parts; i++)
        rc = submit_part(x, &x->parts[i]);
    return rc;
}

/* The texts of all jobs are held until the first job drops its own. */
static void drop_body(struct fg_completion *x)
{
    struct fg_asking *a = &x->asking;
    size_t others = 0;

    for (size_t i = 1; i < x->n_parts; i++)
        others += fg_body_texts(&x->parts[i].asked);
    drop_json(a);
    if (a->body)
        fg_body_pass(a->body, x->rc ? NULL : &x->parts[0].asked, others);
    a->body = NULL;
}

static void on_all_read(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    drop_body(x);
    if (x->answer->ev && x->rc == 0)
        x->rc = submit(x);
    if (x->answer->ev && x->rc)
        x->dialect->fail(x->answer, &x->error);
    if (x->rc)
        cancel(x);
    if (!x->n_running)
        end(x);
}

/* A small body is read on the loop; what many answers to it take is not. */
static void on_read(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    if (x->rc || !x->asking.json) {
        on_all_read(work);
        return;
    }
    x->rc = FG_ECANCELED; /* until it is read */
    x->work.run = read_more;
    x->work.done = on_all_read;
    fg_service_work(x->all->service, &x->work, fg_never_small(x->asking.body_bytes));
}

int fg_api_cache_use(const char *name, enum fg_cache_use *use)
{
    static const char *const names[] = {"none", "read", "read_write"};

    for (int i = 0; name && i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *use = (enum fg_cache_use)i;
            return 0;
        }
    return FG_EINVAL;
}

/* What a header says of the cache. */
static int read_cache_header(const struct fg_request *r, enum fg_cache_use *use,
                             struct fg_http_error *e)
{
    const char *given = fg_request_header(r, "X-Fulgur-Cache");

    *use = FG_CACHE_READ_WRITE;
    if (given && fg_api_cache_use(given, use))
        return fg_http_fail(e, 400, NULL, NULL,
                            "X-Fulgur-Cache: found \"%.40s\", it must be none, read or read_write",
                            given);
    return 0;
}

/* NULL: out of memory. */
static struct fg_completion *create(const struct fg_dialect *dialect)
{
    struct fg_completion *x = calloc(1, sizeof *x);

    if (!x)
        return NULL;
    x->dialect = dialect;
    x->answer = calloc(1, dialect->bytes);
    if (x->answer)
        return x;
    free(x);
    return NULL;
}

/* Fills `asking` with what the head says, and the body. FG_EINVAL with *e filled. */
static int take_request(struct fg_completion *x, struct fg_request *r, struct fg_http_error *e)
{
    struct fg_asking *a = &x->asking;
    int rc = read_cache_header(r, &a->cache, e);

    if (rc)
        return rc;
    if (x->all->service->draining)
        return fg_http_fail(e, 503, NULL, "draining", "the daemon is shutting down");
    a->service = x->all->service;
    a->tenant = &x->tenant;
    a->body_bytes = fg_request_body_bytes(r);
    a->body = fg_request_take_body(r);
    return a->body ? 0 : fg_json_nomem(e);
}

void fg_completions_start(struct fg_pending_list *all, struct fg_request *r,
                          const struct fg_tenant *tenant, const struct fg_dialect *dialect)
{
    struct fg_completion *x = create(dialect);
    char who[FG_REQUEST_WHO];
    struct fg_http_error e;
    int rc;

    if (x)
        x->all = all;
    rc = x ? take_request(x, r, &e) : fg_json_nomem(&e);
    if (rc) {
        if (x)
            free(x->answer);
        free(x);
        fg_reply_error(r, &e);
        return;
    }
    x->tenant = *tenant;
    fg_tenant_who(&x->tenant, fg_request_who(r, who), x->who);
    x->rc = FG_ECANCELED;
    fg_http_fail(&x->error, 503, NULL, "draining", "the daemon is shutting down");
    atomic_init(&x->lost_event, false);
    x->begun = fg_clock_ms();
    TAILQ_INSERT_TAIL(&all->list, &x->pending, link);
    fg_request_keep(x->answer, r, on_lost, x);
    x->work.run = read_body;
    x->work.done = on_read;
    fg_service_work(all->service, &x->work,
                    dialect->waits ? fg_never_small(x->asking.body_bytes) : x->asking.body_bytes);
}

int fg_completions_create(struct fg_service *service, struct event_base *base,
                          struct fg_pending_list **out, struct fg_err *err)
{
    return fg_pending_create(service, base, on_event, cancel_pending, out, err);
}
