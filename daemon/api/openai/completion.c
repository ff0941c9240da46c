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
#include "text/tools/tool_schemas.h"
#include "writer.h"

enum {
    BEGIN_MS = 1500, /* then a stream begins, though its prompt may still turn out to be too long */
    TICK_MS = 500,   /* how often a stream is looked at */
};

/* One answer of those that were asked for: a job. */
struct choice {
    struct fg_completion *x;
    struct fg_api_request parsed;
    char *echo; /* what it begins with, or NULL */
    size_t echo_bytes;
    struct fg_job *job;            /* NULL before it is submitted */
    struct fg_job_event_item last; /* DONE and FAILED must arrive whatever memory there is */
};

struct fg_completion {
    struct fg_pending pending;
    struct fg_pending_list *all;
    enum fg_completion_kind kind;
    enum fg_cache_use cache; /* at most */
    struct fg_tenant tenant;
    char who[FG_JOB_WHO];
    struct fg_work work; /* reads the body; builds a large answer */
    struct fg_body *body;
    size_t body_bytes;
    json_t *parsed; /* the body, where more than one answer is asked for */
    struct choice *choices;
    size_t n_choices, n_running; /* jobs whose last event has not come */
    struct fg_http_error error;  /* why it could not be read, when rc says so */
    int rc;
    struct fg_writer writer;
    struct event *tick;
    double begun; /* fg_clock_ms() */
    atomic_bool lost_event;
};

_Static_assert(offsetof(struct fg_completion, pending) == 0, "the first member");

static struct fg_completion *of_work(struct fg_work *work)
{
    return (struct fg_completion *)((char *)work - offsetof(struct fg_completion, work));
}

static struct fg_writer_choice *written(struct choice *c)
{
    return &c->x->writer.choices[c - c->x->choices];
}

/* Runs on the backend's threads. */
static void sink(void *ctx, const struct fg_job_event *event)
{
    struct choice *c = ctx;
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
        return; /* a worker may be making the choices */
    for (size_t i = 0; i < x->n_choices; i++)
        if (x->choices[i].job)
            b->cancel(b->ctx, x->choices[i].job);
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
    for (size_t i = 0; i < x->n_choices; i++) {
        if (x->choices[i].job)
            s->backend.release(s->backend.ctx, x->choices[i].job);
        fg_api_request_finish(&x->choices[i].parsed);
        free(x->choices[i].echo);
    }
    free(x->choices);
    json_decref(x->parsed);
    fg_writer_finish(&x->writer);
    if (x->tick)
        event_free(x->tick);
    free(x);
    s->ended(s->ended_ctx);
}

static void log_end(const struct choice *c)
{
    const struct fg_completion *x = c->x;
    const struct fg_backend *b = &x->all->service->backend;
    const struct fg_job_event *e = &c->last.event;
    const struct fg_job_account *a = &e->account;
    unsigned long long id = b->job_id(b->ctx, c->job);
    int status = x->writer.request.status, stream = x->writer.answer.stream;
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
    for (size_t i = 0; i < x->n_choices; i++)
        if (x->choices[i].job)
            log_end(&x->choices[i]);
    end(x);
}

static void build(struct fg_work *work)
{
    fg_writer_build(&of_work(work)->writer);
}

static void on_built(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    if (x->writer.request.ev)
        fg_writer_send(&x->writer);
    end_all(x);
}

static void on_last(struct choice *c, const struct fg_job_event *e)
{
    struct fg_completion *x = c->x;
    struct fg_service *s = x->all->service;
    struct fg_http_error error;

    x->n_running--;
    if (atomic_load(&x->lost_event))
        fg_writer_nomem(&x->writer);
    if (e->kind == FG_EVENT_FAILED) {
        fg_http_error_from(&error, &e->error, s->draining);
        fg_writer_fail(&x->writer, &error);
    } else {
        fg_writer_done(&x->writer, written(c), e);
    }
    if (!x->writer.request.ev)
        cancel(x);
    if (x->n_running)
        return;
    if (x->writer.request.ev && x->writer.answer.stream)
        fg_writer_end_stream(&x->writer);
    if (x->writer.request.ev) {
        x->work.run = build;
        x->work.done = on_built;
        fg_service_work(s, &x->work, fg_writer_bytes(&x->writer));
        return;
    }
    end_all(x);
}

static void on_event(void *ctx, struct fg_link *item)
{
    struct fg_job_event_item *i = (struct fg_job_event_item *)item;
    struct choice *c = i->to;

    (void)ctx;
    /* Not before it is known that the prompt fits. */
    if (c->echo && i->event.kind != FG_EVENT_FAILED &&
        !fg_writer_echo(&c->x->writer, written(c), c->echo, c->echo_bytes))
        cancel(c->x);
    free(c->echo);
    c->echo = NULL;
    if (i == &c->last) {
        on_last(c, &i->event);
        return;
    }
    if (!fg_writer_event(&c->x->writer, written(c), &i->event))
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
        fg_writer_begin(&x->writer);
    fg_writer_keep_alive(&x->writer);
}

/* --- from the request to the jobs --- */

/* Text that a choice begins with. */
static int read_echo(struct fg_completion *x, struct choice *c)
{
    const struct fg_backend *b = &x->all->service->backend;
    const struct fg_job_request *job = &c->parsed.job;
    struct fg_err err = {0};
    int rc = 0;

    if (!c->parsed.echo)
        return 0;
    if (job->kind == FG_PROMPT_TOKENS) {
        rc = b->detokenize(b->ctx, job->tokens, job->n_tokens, &c->echo, &c->echo_bytes, &err);
        if (rc)
            fg_http_error_from(&x->error, &err, false);
        return rc;
    }
    c->echo = malloc(job->text_bytes + 1);
    if (!c->echo)
        return fg_json_nomem(&x->error);
    memcpy(c->echo, job->text, job->text_bytes);
    c->echo_bytes = job->text_bytes;
    return 0;
}

static int parse_choice(struct fg_completion *x, const json_t *body, bool chat, size_t i)
{
    struct choice *c = &x->choices[i];
    uint32_t of_prompt = x->writer.of_prompt;
    struct fg_api_choice which = {.text = fg_body_text(x->body),
                                  .chat = chat,
                                  .cache = x->cache,
                                  .prompt = of_prompt ? i / of_prompt : 0,
                                  .number = of_prompt ? (uint32_t)(i % of_prompt) : 0};
    int rc =
        fg_api_request_parse_choice(body, &which, &x->all->service->info, &c->parsed, &x->error);

    c->x = x;
    c->last.to = c;
    return rc ? rc : read_echo(x, c);
}

static int make_choices(struct fg_completion *x, size_t n)
{
    struct choice *choices = realloc(x->choices, n * sizeof *choices);

    if (!choices)
        return fg_json_nomem(&x->error);
    memset(choices + x->n_choices, 0, (n - x->n_choices) * sizeof *choices);
    for (size_t i = 0; i < x->n_choices; i++)
        choices[i].last.to = &choices[i];
    x->choices = choices;
    x->n_choices = n;
    return 0;
}

/* Any thread. */
static void on_spoke(void *ctx, const char *id, struct fg_str text)
{
    const struct fg_completion *x = ctx;
    const struct fg_backend *b = &x->all->service->backend;

    b->spoke(b->ctx, x->choices[0].job, id, text);
}

static int set_up_writer(struct fg_completion *x, bool chat)
{
    const struct fg_api_request *r = &x->choices[0].parsed;
    struct fg_writer *w = &x->writer;

    w->of_prompt = r->best_of;
    w->kept = r->n;
    w->form = x->all->service->info.answer_form;
    if (r->reasoning_as_text)
        w->form.reasoning = FG_REASONING_NONE;
    if (!r->tools)
        w->form.tools = FG_TOOLS_NONE;
    else if (!(w->form.schemas = fg_tool_schemas_create(
                   (struct fg_str){r->job.tools_json, strlen(r->job.tools_json)})))
        return fg_json_nomem(&x->error);
    /* Text with control tokens in it would not be read as such again. */
    w->spoke = r->job.cache == FG_CACHE_READ_WRITE && !r->job.show_control ? on_spoke : NULL;
    w->spoke_ctx = x;
    w->answer.chat = chat;
    w->answer.stream = r->stream;
    w->answer.include_usage = r->include_usage;
    w->answer.n_logprobs = r->wants_logprobs ? r->job.n_logprobs : -1;
    w->answer.ids = r->job.want_tokens;
    return 0;
}

/* The first answer, and how many more there are: *n together. */
static int parse(struct fg_completion *x, const json_t *body, size_t *n)
{
    bool explain = x->kind == FG_COMPLETION_EXPLAIN;
    bool chat = explain ? json_object_get(body, "messages") != NULL : x->kind == FG_COMPLETION_CHAT;
    struct fg_api_request *first;
    int rc = make_choices(x, 1);

    *n = 1;
    if (rc == 0)
        rc = parse_choice(x, body, chat, 0);
    if (rc)
        return rc;
    first = &x->choices[0].parsed;
    if (explain) { /* of the first answer to the first prompt */
        first->job.mode = FG_MODE_FORECAST;
        first->stream = false;
        first->n = first->best_of = 1;
        x->writer.forecast = true;
    } else {
        rc = fg_api_request_count(first, x->body_bytes, n, &x->error);
    }
    if (rc)
        return rc;
    rc = set_up_writer(x, chat);
    if (rc)
        return rc;
    if (fg_writer_init(&x->writer, *n))
        return fg_json_nomem(&x->error);
    return make_choices(x, *n);
}

/* The other answers. */
static void read_more(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    x->rc = 0;
    for (size_t i = 1; x->rc == 0 && i < x->n_choices; i++) {
        x->rc = parse_choice(x, x->parsed, x->writer.answer.chat, i);
        if (x->rc == 0)
            x->rc = fg_body_charge(x->body, fg_body_texts(&x->choices[i].parsed.job), &x->error);
    }
}

static void read_body(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);
    json_t *body = NULL;
    size_t n = 1;

    x->rc = fg_body_parse(x->body, &body, &x->error);
    if (x->rc == 0)
        x->rc = parse(x, body, &n);
    if (x->rc == 0 && n > 1) { /* the body holds what its JSON takes */
        x->parsed = body;
        return;
    }
    json_decref(body);
    fg_body_pass(x->body, x->rc ? NULL : &x->choices[0].parsed.job, 0);
    x->body = NULL;
}

static int start_clock(struct fg_completion *x)
{
    const struct timeval tick = {.tv_usec = TICK_MS * 1000};

    if (!x->writer.answer.stream)
        return 0;
    x->tick = event_new(x->all->base, -1, EV_PERSIST, on_tick, x);
    return x->tick && event_add(x->tick, &tick) == 0 ? 0 : fg_json_nomem(&x->error);
}

static int submit_choice(struct fg_completion *x, struct choice *c)
{
    struct fg_service *s = x->all->service;
    struct fg_err err = {0};

    c->parsed.job.tenant = x->tenant;
    memcpy(c->parsed.job.who, x->who, sizeof x->who);
    if (s->backend.submit(s->backend.ctx, &c->parsed.job, sink, c, &c->job, &err)) {
        c->job = NULL;
        fg_http_error_from(&x->error, &err, s->draining);
        return FG_EINVAL;
    }
    x->n_running++;
    return 0;
}

static int submit(struct fg_completion *x)
{
    int rc;

    if (fg_answer_init(&x->writer.answer, &x->all->service->info))
        return fg_http_fail(&x->error, 500, NULL, NULL, "no random id could be drawn");
    rc = start_clock(x);
    for (size_t i = 0; rc == 0 && i < x->n_choices; i++)
        rc = submit_choice(x, &x->choices[i]);
    return rc;
}

/* The texts of all answers are held until the first job drops its own. */
static void drop_body(struct fg_completion *x)
{
    size_t others = 0;

    for (size_t i = 1; i < x->n_choices; i++)
        others += fg_body_texts(&x->choices[i].parsed.job);
    json_decref(x->parsed);
    x->parsed = NULL;
    if (x->body)
        fg_body_pass(x->body, x->rc ? NULL : &x->choices[0].parsed.job, others);
    x->body = NULL;
}

static void on_all_read(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    drop_body(x);
    if (x->writer.request.ev && x->rc == 0)
        x->rc = submit(x);
    if (x->writer.request.ev && x->rc)
        fg_writer_fail(&x->writer, &x->error);
    if (x->rc)
        cancel(x);
    if (!x->n_running)
        end(x);
}

/* A small body is read on the loop; what many answers to it take is not. */
static void on_read(struct fg_work *work)
{
    struct fg_completion *x = of_work(work);

    if (x->rc || !x->parsed) {
        on_all_read(work);
        return;
    }
    x->rc = FG_ECANCELED; /* until it is read */
    x->work.run = read_more;
    x->work.done = on_all_read;
    fg_service_work(x->all->service, &x->work, SIZE_MAX);
}

/* What a header says of the cache. */
static int read_cache_header(struct fg_completion *x, const struct fg_request *r,
                             struct fg_http_error *e)
{
    const char *given = fg_request_header(r, "X-Fulgur-Cache");

    x->cache = FG_CACHE_READ_WRITE;
    if (given && fg_api_cache_use(given, &x->cache))
        return fg_http_fail(e, 400, NULL, NULL,
                            "X-Fulgur-Cache: found \"%.40s\", it must be none, read or read_write",
                            given);
    return 0;
}

void fg_completions_start(struct fg_pending_list *all, struct fg_request *r,
                          const struct fg_tenant *tenant, enum fg_completion_kind kind)
{
    size_t bytes = fg_request_body_bytes(r);
    struct fg_completion *x = calloc(1, sizeof *x);
    struct fg_http_error e;
    int rc = x ? read_cache_header(x, r, &e) : fg_json_nomem(&e);
    struct fg_body *body = rc == 0 ? fg_request_take_body(r) : NULL;
    char who[FG_REQUEST_WHO];

    if (rc == 0 && !body)
        rc = fg_json_nomem(&e);
    if (rc == 0 && all->service->draining)
        rc = fg_http_fail(&e, 503, NULL, "draining", "the daemon is shutting down");
    if (rc) {
        free(x);
        fg_body_free(body);
        fg_reply_error(r, &e);
        return;
    }
    x->all = all;
    x->kind = kind;
    x->tenant = *tenant;
    fg_tenant_who(&x->tenant, fg_request_who(r, who), x->who);
    x->body = body;
    x->body_bytes = bytes;
    x->rc = FG_ECANCELED;
    fg_http_fail(&x->error, 503, NULL, "draining", "the daemon is shutting down");
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
