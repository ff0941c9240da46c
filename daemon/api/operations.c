#include "operations.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "caller.h"
#include "base/log.h"
#include "common/body.h"
#include "common/pending.h"
#include "http/json_in.h"
#include "http/json_out.h"
#include "http/stream.h"
#include "operation_json.h"

#define PACK "application/octet-stream"

/* A copy of one event. */
struct item {
    struct fg_link link; /* first: event queues carry it */
    struct operation *to;
    struct fg_operation_event event;
    char *result;          /* DONE: as JSON */
    unsigned char bytes[]; /* DATA */
};

struct operation {
    struct fg_pending pending;
    struct fg_pending_list *all;
    struct fg_request request;
    struct fg_work work; /* reads the body */
    struct fg_body *body;
    char *query; /* or NULL */
    char who[FG_JOB_WHO];
    char id[FG_LOG_TEXT];              /* that was given, for the log; "" for none */
    struct fg_operation_request asked; /* until it is started */
    struct fg_tenant tenant;
    struct fg_http_error error; /* why it could not be read, when rc says so */
    int rc;
    struct fg_operation *operation; /* NULL before it is started */
    enum fg_operation_kind kind;
    bool stream;
    unsigned unsent;  /* pieces that the client has not taken */
    struct item last; /* DONE and FAILED must arrive whatever memory there is */
};

_Static_assert(offsetof(struct operation, pending) == 0, "the first member");

static struct operation *of_work(struct fg_work *work)
{
    return (struct operation *)((char *)work - offsetof(struct operation, work));
}

static void stop(struct operation *x)
{
    const struct fg_backend *b = &x->all->service->backend;

    if (x->operation)
        b->stop(b->ctx, x->operation);
}

static void stop_pending(struct fg_pending *p)
{
    stop((struct operation *)p);
}

static void on_lost(void *arg)
{
    stop(arg);
}

static void post_last(struct operation *x, struct fg_operation_event *event)
{
    json_t *result = NULL;

    x->last.event = *event;
    if (event->kind == FG_OPERATION_DONE) {
        /* Here, and not on the loop: a list may have thousands of rows. */
        result = fg_operation_result_json(x->kind, &event->result);
        if (x->stream)
            result = json_pack("{s:o}", "result", result);
        x->last.result = fg_json_dump(result);
        json_decref(result);
        fg_operation_result_finish(&event->result);
    }
    fg_event_queue_post(&x->all->events, &x->last.link);
}

/* Runs on the operation's thread. */
static void sink(void *ctx, struct fg_operation_event *event)
{
    struct operation *x = ctx;
    struct item *i;

    if (event->kind == FG_OPERATION_DONE || event->kind == FG_OPERATION_FAILED) {
        post_last(x, event);
        return;
    }
    i = calloc(1, sizeof *i + event->n);
    if (!i) {
        /* Progress is told again; data with a hole in it would look whole. */
        if (event->kind == FG_OPERATION_DATA)
            stop(x);
        return;
    }
    i->to = x;
    i->event = *event;
    if (event->n)
        memcpy(i->bytes, event->bytes, event->n);
    i->event.bytes = i->bytes;
    fg_event_queue_post(&x->all->events, &i->link);
}

/* --- from events to the answer --- */

/* A header that tells who signs the pack that follows. */
static void name_signer(const struct fg_service *s, struct fg_request *r)
{
    fg_reply_header(r, "Fulgur-Pack-Key", s->info.pack_key);
}

static void start_pack(struct operation *x)
{
    if (!x->request.started)
        name_signer(x->all->service, &x->request);
    fg_stream_start(&x->request, PACK);
}

/* Takes over `object`. */
static void send_event(struct operation *x, json_t *object)
{
    char *data = fg_json_dump(object);

    json_decref(object);
    if (data)
        fg_stream_event(&x->request, data);
    else
        fg_request_abort(&x->request); /* a stream with a hole in it would look whole */
    free(data);
}

static void on_failed(struct operation *x, const struct fg_err *err)
{
    struct fg_http_error e;

    fg_http_error_from(&e, err, x->all->service->draining);
    if (err->code == FG_ECORRUPT)
        e.status = 500;
    if (!x->request.started && !x->stream) {
        fg_reply_error(&x->request, &e);
    } else if (x->stream) {
        send_event(x, fg_http_error_json(&e));
        if (x->request.ev)
            fg_stream_end(&x->request);
    } else {
        fg_request_abort(&x->request); /* what was sent must not look whole */
    }
}

/* The client has taken what was sent so far. */
static void on_sent(void *arg)
{
    struct operation *x = arg;
    const struct fg_backend *b = &x->all->service->backend;

    while (x->unsent) {
        x->unsent--;
        b->more(b->ctx, x->operation);
    }
}

static void on_done(struct operation *x)
{
    if (x->kind != FG_OPERATION_EXPORT && !x->stream) {
        fg_reply_text(&x->request, 200, x->last.result);
        x->last.result = NULL;
        return;
    }
    if (x->kind == FG_OPERATION_EXPORT)
        start_pack(x);
    else if (x->last.result)
        fg_stream_event(&x->request, x->last.result);
    else
        fg_request_abort(&x->request);
    if (x->request.ev)
        fg_stream_end(&x->request);
}

/* Who asked for what changes the store, leaves it or costs much of it, and what came of it. */
static void audit(enum fg_operation_kind kind, const char *who, const char *id, const char *result)
{
    static const char *const names[] = {[FG_OPERATION_FORGET] = "forget",
                                        [FG_OPERATION_COMPACT] = "gc",
                                        [FG_OPERATION_VERIFY] = "verify",
                                        [FG_OPERATION_EXPORT] = "export",
                                        [FG_OPERATION_IMPORT] = "import"};
    const size_t n = sizeof names / sizeof *names;
    const char *name = (size_t)kind < n ? names[kind] : NULL;

    if (name)
        fg_log_audit("api", "event=%s %s id=\"%s\" result=\"%s\"", name, who, id, result);
}

static const char *result_of(const struct operation *x)
{
    if (!x->operation)
        return "refused";
    return x->last.event.kind == FG_OPERATION_DONE ? "done" : fg_strerror(x->last.event.error.code);
}

static void end(struct operation *x)
{
    struct fg_service *s = x->all->service;

    audit(x->kind, x->who, x->id, result_of(x));
    TAILQ_REMOVE(&x->all->list, &x->pending, link);
    if (x->operation)
        s->backend.finish(s->backend.ctx, x->operation);
    fg_operation_request_finish(&x->asked);
    free(x->query);
    free(x->last.result);
    free(x);
    s->ended(s->ended_ctx);
}

static void on_last(struct operation *x)
{
    if (x->request.ev && x->last.event.kind == FG_OPERATION_FAILED)
        on_failed(x, &x->last.event.error);
    else if (x->request.ev)
        on_done(x);
    end(x);
}

static void on_event(void *ctx, struct fg_link *link)
{
    struct item *i = (struct item *)link;
    struct operation *x = i->to;
    const struct fg_operation_event *e = &i->event;

    (void)ctx;
    if (i == &x->last) {
        on_last(x);
        return;
    }
    if (x->request.ev && e->kind == FG_OPERATION_DATA) {
        /* Bounded memory: an operation sends a few pieces, and more once these are on their way. */
        start_pack(x);
        x->unsent++;
        fg_stream_bytes(&x->request, e->bytes, e->n, on_sent);
    } else if (x->request.ev && x->stream) {
        send_event(x, json_pack("{s:{s:I, s:I}}", "progress", "done", (json_int_t)e->done, "total",
                                (json_int_t)e->total));
    }
    free(i);
}

/* --- from the request to the operation --- */

static void read_body(struct fg_work *work)
{
    struct operation *x = of_work(work);
    struct fg_operation_request *asked = &x->asked;
    size_t n = evbuffer_get_length(x->body->bytes);
    json_t *body = NULL;

    x->rc = 0;
    if (fg_operation_has_body(x->kind))
        x->rc = fg_body_parse(x->body, &body, &x->error);
    if (x->kind == FG_OPERATION_IMPORT)
        x->rc = fg_body_charge(x->body, n, &x->error);
    if (x->kind == FG_OPERATION_IMPORT && !x->rc) {
        asked->bytes = malloc(n ? n : 1);
        asked->n_bytes = n;
        if (!asked->bytes ||
            (n && evbuffer_copyout(x->body->bytes, asked->bytes, n) != (ev_ssize_t)n))
            x->rc = fg_json_nomem(&x->error);
    }
    if (!x->rc)
        x->rc = fg_operation_request_parse(
            (struct fg_operation_body){body, body ? fg_body_text(x->body) : (struct fg_str){"", 0}},
            x->query, &x->all->service->info, asked, &x->stream, &x->error);
    fg_log_text(x->id, asked->id ? asked->id : "");
    json_decref(body);
    fg_body_pass(x->body, x->rc ? NULL : &asked->prompt, asked->n_bytes);
    x->body = NULL;
}

static int begin(struct operation *x)
{
    struct fg_service *s = x->all->service;
    struct fg_err err = {0};
    int rc;

    rc = s->backend.start(s->backend.ctx, &x->asked, sink, x, &x->operation, &err);
    if (rc == 0)
        return 0;
    x->operation = NULL;
    fg_http_error_from(&x->error, &err, s->draining);
    if (rc == FG_ENOTFOUND)
        x->error.code = "no_cache";
    return FG_EINVAL;
}

static void on_read(struct fg_work *work)
{
    struct operation *x = of_work(work);

    fg_body_free(x->body); /* was not read: the API is going down */
    x->body = NULL;
    if (x->request.ev && x->rc == 0)
        x->rc = begin(x);
    if (x->request.ev && x->rc)
        fg_reply_error(&x->request, &x->error);
    if (!x->operation)
        end(x);
}

static struct operation *new_operation(struct fg_pending_list *all, struct fg_request *r,
                                       enum fg_operation_kind kind)
{
    struct operation *x = calloc(1, sizeof *x);
    const char *query = fg_request_query(r);

    if (!x)
        return NULL;
    x->all = all;
    x->kind = x->asked.kind = kind;
    x->query = query ? strdup(query) : NULL;
    x->body = !query || x->query ? fg_request_take_body(r) : NULL;
    if (!x->body) {
        free(x->query);
        free(x);
        return NULL;
    }
    x->last.to = x;
    x->rc = fg_http_fail(&x->error, 503, NULL, "draining", "the daemon is shutting down");
    return x;
}

void fg_operations_start(struct fg_pending_list *all, struct fg_request *r,
                         const struct fg_caller *caller, const char *path)
{
    size_t bytes = fg_request_body_bytes(r);
    enum fg_operation_kind kind = FG_OPERATION_LIST;
    struct operation *x = NULL;
    struct fg_http_error e;
    char who[FG_JOB_WHO], from[FG_REQUEST_WHO];

    fg_operation_path_kind(path, &kind);
    fg_tenant_who(&caller->tenant, fg_request_who(r, from), who);
    if (kind == FG_OPERATION_EXPORT && fg_request_is_head(r)) {
        name_signer(all->service, r);
        fg_reply_head(r, PACK);
        return;
    }
    if (fg_caller_may(caller, kind, &e) == 0) {
        fg_json_nomem(&e);
        x = new_operation(all, r, kind);
    } else {
        audit(kind, who, "", "refused");
    }
    if (!x) {
        fg_reply_error(r, &e);
        return;
    }
    x->tenant = x->asked.tenant = caller->tenant;
    x->asked.runs_daemon = caller->runs_daemon;
    memcpy(x->who, who, sizeof who);
    memcpy(x->asked.who, who, sizeof who);
    TAILQ_INSERT_TAIL(&all->list, &x->pending, link);
    fg_request_keep(&x->request, r, on_lost, x);
    x->work.run = read_body;
    x->work.done = on_read;
    fg_service_work(all->service, &x->work, bytes);
}

int fg_operations_create(struct fg_service *service, struct event_base *base,
                         struct fg_pending_list **out, struct fg_err *err)
{
    return fg_pending_create(service, base, on_event, stop_pending, out, err);
}
