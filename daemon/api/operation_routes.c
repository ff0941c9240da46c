#include "operation_routes.h"

#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>
#include <event2/http_struct.h>

#include "api.h"
#include "operation_json.h"
#include "serve/operation.h"
#include "http/json_in.h"
#include "http/reply.h"
#include "api/openai/response_json.h"

/* A copy of one event; the base comes first: mailboxes carry it. */
struct letter {
    struct fg_letter base;
    struct fg_task_event event;
    unsigned char bytes[]; /* DATA */
};

struct fg_cache_call {
    TAILQ_ENTRY(fg_cache_call) link;
    struct fg_api *api;
    struct fg_conn *conn;       /* NULL once answered, or the client has left */
    struct evhttp_request *req; /* likewise */
    struct fg_task *task;
    enum fg_task_kind kind;
    bool stream;
    unsigned unsent;    /* pieces that the client has not taken */
    bool started;       /* the stream's status and headers are out */
    struct letter last; /* DONE and FAILED must arrive whatever memory there is */
};

/* Runs on the task's thread. */
static void sink(void *ctx, struct fg_task_event *event)
{
    struct fg_cache_call *x = ctx;
    struct letter *l;

    if (event->kind == FG_TASK_DONE || event->kind == FG_TASK_FAILED) {
        x->last.event = *event;
        fg_mailbox_post(&x->api->task_mailbox, &x->last.base);
        return;
    }
    l = calloc(1, sizeof *l + event->n);
    if (!l) {
        /* Progress is told again; data with a hole in it would look whole. */
        if (event->kind == FG_TASK_DATA)
            x->api->backend.stop(x->api->backend.ctx, x->task);
        return;
    }
    l->base.to = x;
    l->event = *event;
    if (event->n)
        memcpy(l->bytes, event->bytes, event->n);
    l->event.bytes = l->bytes;
    fg_mailbox_post(&x->api->task_mailbox, &l->base);
}

/* The request is evhttp's from here on. */
static struct evhttp_request *let_go(struct fg_cache_call *x)
{
    struct evhttp_request *req = x->req;

    x->conn->call = NULL;
    x->conn = NULL;
    x->req = NULL;
    return req;
}

static void start(struct fg_cache_call *x, const char *type)
{
    if (x->started)
        return;
    x->started = true;
    fg_reply_common(x->api, x->req, type);
    /* See exchange.c: HTTP/1.0 knows no chunks. */
    if (x->req->major == 1 && x->req->minor == 0) {
        evhttp_remove_header(evhttp_request_get_input_headers(x->req), "Connection");
        fg_reply_header(x->req, "Connection", "close");
    }
    evhttp_send_reply_start(x->req, 200, fg_api_reason(200));
}

/* Takes over `object`. */
static void send_event(struct fg_cache_call *x, json_t *object)
{
    char *data = object ? fg_api_dump(object) : NULL;
    struct evbuffer *line = evbuffer_new();

    json_decref(object);
    start(x, "text/event-stream");
    if (data && line && evbuffer_add_printf(line, "data: %s\n\n", data) > 0)
        evhttp_send_reply_chunk(x->req, line);
    else
        fg_conn_close(x->conn);
    if (line)
        evbuffer_free(line);
    free(data);
    if (x->req && fg_conn_unsent(x->conn) > x->api->max_buffered)
        fg_conn_close(x->conn);
}

static void on_failed(struct fg_cache_call *x, const struct fg_err *err)
{
    struct fg_api_error e;

    fg_api_error_from(&e, err, x->api->draining);
    if (err->code == FG_ECORRUPT)
        e.status = 500;
    if (!x->started && !x->stream) {
        fg_reply_error(x->api, let_go(x), &e);
    } else if (x->stream) {
        send_event(x, fg_api_error_json(&e));
        if (x->req)
            evhttp_send_reply_end(let_go(x));
    } else {
        fg_conn_close(x->conn); /* what was sent must not look whole */
    }
}

static void on_done(struct fg_cache_call *x, const struct fg_task_result *r)
{
    if (x->kind == FG_TASK_EXPORT)
        start(x, "application/octet-stream");
    else if (x->stream)
        send_event(x, json_pack("{s:o}", "result", fg_task_result_json(x->kind, r)));
    else if (!x->started)
        fg_reply_json(x->api, let_go(x), 200, fg_task_result_json(x->kind, r));
    if (x->req)
        evhttp_send_reply_end(let_go(x));
}

/* The client has taken what was sent so far, or the answer's end follows. */
static void on_sent(struct evhttp_connection *evcon, void *arg)
{
    struct fg_cache_call *x = arg;

    (void)evcon;
    while (x->unsent) {
        x->unsent--;
        x->api->backend.more(x->api->backend.ctx, x->task);
    }
}

/* Bounded memory: a task sends a few pieces, and more once these are on their way. */
static void send_data(struct fg_cache_call *x, const struct fg_task_event *e)
{
    struct evbuffer *piece = evbuffer_new();

    start(x, "application/octet-stream");
    if (piece && evbuffer_add(piece, e->bytes, e->n) == 0) {
        x->unsent++;
        evhttp_send_reply_chunk_with_cb(x->req, piece, on_sent, x);
    } else {
        fg_conn_close(x->conn); /* a pack with a hole in it */
    }
    if (piece)
        evbuffer_free(piece);
}

static void on_event(struct fg_cache_call *x, const struct fg_task_event *e)
{
    if (e->kind == FG_TASK_DATA)
        send_data(x, e);
    if (e->kind == FG_TASK_PROGRESS && x->stream)
        send_event(x, json_pack("{s:{s:I, s:I}}", "progress", "done", (json_int_t)e->done, "total",
                                (json_int_t)e->total));
}

static void deliver(struct letter *l)
{
    struct fg_cache_call *x = l->base.to;
    struct fg_api *api = x->api;

    if (l != &x->last) {
        if (x->req)
            on_event(x, &l->event);
        free(l);
        return;
    }
    if (x->req && l->event.kind == FG_TASK_FAILED)
        on_failed(x, &l->event.error);
    else if (x->req)
        on_done(x, &l->event.result);
    if (l->event.kind == FG_TASK_DONE)
        fg_task_result_finish(&l->event.result);
    TAILQ_REMOVE(&api->calls, x, link);
    x->api->backend.finish(x->api->backend.ctx, x->task);
    free(x);
    fg_api_check_drained(api);
}

void fg_cache_call_deliver(struct fg_api *api, bool wait)
{
    struct fg_letter *letter = fg_mailbox_take(&api->task_mailbox, wait);

    while (letter) {
        struct fg_letter *next = letter->next;

        deliver((struct letter *)letter);
        letter = next;
    }
}

static int read_request(struct fg_api *api, struct evhttp_request *req, struct fg_task_request *r,
                        bool *stream, struct fg_api_error *e)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t n = evbuffer_get_length(in);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *bytes;
    json_t *body = NULL;
    int rc = 0;

    if (fg_task_has_body(r->kind)) {
        bytes = n ? (const char *)evbuffer_pullup(in, -1) : "";
        rc = bytes ? fg_json_parse(bytes, n, &body, e) : fg_json_nomem(e);
    }
    if (r->kind == FG_TASK_IMPORT) {
        r->bytes = malloc(n ? n : 1);
        r->n_bytes = n;
        if (!r->bytes || (n && evbuffer_copyout(in, r->bytes, n) != (ev_ssize_t)n))
            rc = fg_json_nomem(e);
    }
    if (!rc)
        rc = fg_task_request_parse(body, evhttp_uri_get_query(uri), &api->info, r, stream, e);
    json_decref(body);
    evbuffer_drain(in, n);
    return rc;
}

static int begin(struct fg_api *api, struct fg_conn *conn, struct evhttp_request *req,
                 struct fg_task_request *r, bool stream, struct fg_api_error *e)
{
    struct fg_cache_call *x = calloc(1, sizeof *x);
    struct fg_err err = {0};
    int rc;

    if (!x)
        return fg_json_nomem(e);
    x->api = api;
    x->kind = r->kind;
    x->stream = stream;
    x->last.base.to = x;
    r->tenant = conn->caller.tenant;
    rc = api->backend.start(api->backend.ctx, r, sink, x, &x->task, &err);
    if (rc) {
        free(x);
        fg_api_error_from(e, &err, api->draining);
        if (rc == FG_ENOTFOUND)
            e->code = "no_cache";
        return FG_EINVAL;
    }
    x->conn = conn;
    x->req = req;
    TAILQ_INSERT_TAIL(&api->calls, x, link);
    fg_conn_wait(conn, NULL);
    conn->call = x;
    return 0;
}

void fg_cache_call_start(struct fg_api *api, struct fg_conn *conn, struct evhttp_request *req,
                         const char *path)
{
    struct fg_task_request r = {0};
    struct fg_api_error e;
    bool stream = false;
    int rc;

    fg_task_path_kind(path, &r.kind);
    if (r.kind == FG_TASK_EXPORT && evhttp_request_get_command(req) == EVHTTP_REQ_HEAD) {
        fg_reply_common(api, req, "application/octet-stream");
        evhttp_send_reply(req, 200, fg_api_reason(200), NULL);
        return;
    }
    rc = read_request(api, req, &r, &stream, &e);
    if (!rc && r.kind == FG_TASK_COMPACT && !conn->caller.owner)
        rc = fg_api_fail(&e, 403, NULL, NULL,
                         "the file is all tenants' together: the user who runs the daemon may "
                         "compact it");
    if (!rc)
        rc = begin(api, conn, req, &r, stream, &e);
    fg_task_request_finish(&r);
    if (rc)
        fg_reply_error(api, req, &e);
}

void fg_cache_call_lost(struct fg_cache_call *x)
{
    if (!evhttp_request_get_connection(x->req))
        evhttp_request_free(x->req);
    let_go(x);
    x->api->backend.stop(x->api->backend.ctx, x->task);
}

void fg_cache_call_cancel_all(struct fg_api *api)
{
    struct fg_cache_call *x;

    TAILQ_FOREACH(x, &api->calls, link)
    x->api->backend.stop(x->api->backend.ctx, x->task);
}
