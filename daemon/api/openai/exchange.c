#include "exchange.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>
#include <event2/http_struct.h>

#include "api/api.h"
#include "api/cache_json.h"
#include "base/clock.h"
#include "http/json_in.h"
#include "base/log.h"
#include "http/reply.h"
#include "request_json.h"
#include "response_json.h"
#include "text/tools/tool_calls.h"

struct fg_exchange {
    TAILQ_ENTRY(fg_exchange) link;
    struct fg_api *api;
    struct fg_conn *conn;       /* NULL once answered, or the client has left */
    struct evhttp_request *req; /* likewise */
    struct fg_job *job;
    struct fg_answer answer;
    bool tools, forecast;
    bool started; /* the stream's status and headers are out */
    bool role_sent;
    int status;   /* answered with; 0: the client left first */
    double begun; /* fg_clock_ms() */
    char *text;   /* an answer in one piece, or a stream that may hold tool calls */
    size_t n_text, room;
    size_t n_sent;    /* of text, in a stream */
    json_t *logprobs; /* of an answer in one piece, so far */
    atomic_bool lost_event;
    struct fg_letter last; /* DONE and FAILED must arrive whatever memory there is */
};

static void free_exchange(struct fg_exchange *x)
{
    x->api->backend.release(x->api->backend.ctx, x->job);
    json_decref(x->logprobs);
    free(x->text);
    free(x);
}

/* Runs on the flow's threads. */
static void sink(void *ctx, const struct fg_job_event *event)
{
    struct fg_exchange *x = ctx;
    struct fg_letter *letter;

    if (event->kind == FG_EVENT_DONE || event->kind == FG_EVENT_FAILED) {
        x->last.event = *event;
        fg_mailbox_post(&x->api->mailbox, &x->last);
        return;
    }
    letter = fg_letter_new(x, event);
    if (letter)
        fg_mailbox_post(&x->api->mailbox, letter);
    else
        atomic_store(&x->lost_event, true);
}

/* The request is evhttp's from here on. */
static struct evhttp_request *let_go(struct fg_exchange *x)
{
    struct evhttp_request *req = x->req;

    x->conn->exchange = NULL;
    x->conn = NULL;
    x->req = NULL;
    return req;
}

static void start_stream(struct fg_exchange *x)
{
    if (x->started)
        return;
    x->started = true;
    x->status = 200;
    fg_reply_common(x->api, x->req, "text/event-stream");
    /* HTTP/1.0 knows no chunks: the end of the connection ends the answer, also when the client
     * asked for it to be kept; evhttp would promise a length of 0 then. */
    if (x->req->major == 1 && x->req->minor == 0) {
        evhttp_remove_header(evhttp_request_get_input_headers(x->req), "Connection");
        fg_reply_header(x->req, "Connection", "close");
    }
    evhttp_send_reply_start(x->req, 200, fg_api_reason(200));
}

/* A client that does not read is not waited for. */
static void send_line(struct fg_exchange *x, const char *data)
{
    struct evbuffer *line = evbuffer_new();

    if (line && evbuffer_add_printf(line, "data: %s\n\n", data) > 0) {
        evhttp_send_reply_chunk(x->req, line);
        evbuffer_free(line);
    } else {
        /* A stream with a hole in it would look whole. */
        if (line)
            evbuffer_free(line);
        fg_conn_close(x->conn);
        return;
    }
    if (fg_conn_unsent(x->conn) > x->api->max_buffered) {
        fg_log(FG_LOG_WARN, "api", "job=%llu cause=\"the client does not read\" unsent=%zu",
               (unsigned long long)x->api->backend.job_id(x->api->backend.ctx, x->job),
               fg_conn_unsent(x->conn));
        fg_conn_close(x->conn);
    }
}

static void fail(struct fg_exchange *x, const struct fg_api_error *e)
{
    struct evhttp_request *req;
    json_t *root;
    char *data;

    if (!x->req)
        return;
    if (!x->started) {
        x->status = e->status;
        req = let_go(x);
        fg_reply_error(x->api, req, e);
        return;
    }
    root = fg_api_error_json(e);
    data = fg_api_dump(root);
    json_decref(root);
    if (data)
        send_line(x, data);
    free(data);
    if (x->req)
        evhttp_send_reply_end(let_go(x));
}

/* Nothing more can be said on this request, and its job is of no use. */
static void fail_nomem(struct fg_exchange *x)
{
    struct fg_api_error e;

    fg_json_nomem(&e);
    fail(x, &e);
    x->api->backend.cancel(x->api->backend.ctx, x->job);
}

/* Takes over `chunk`. False: the client is gone or memory is. */
static bool send_chunk(struct fg_exchange *x, json_t *chunk)
{
    char *data = fg_api_dump(chunk);

    json_decref(chunk);
    if (x->req && data)
        send_line(x, data);
    else if (x->req)
        fail_nomem(x);
    free(data);
    return x->req != NULL;
}

/* Sends the text [from, to) with its logprobs (borrowed, or NULL). */
static bool send_text(struct fg_exchange *x, const char *text, size_t bytes, json_t *logprobs)
{
    if (x->answer.chat && !x->role_sent) {
        x->role_sent = true;
        if (!send_chunk(x, fg_answer_chunk_role(&x->answer)))
            return false;
    }
    if (!bytes && !logprobs)
        return true;
    return send_chunk(x, fg_answer_chunk_text(&x->answer, text, bytes, logprobs));
}

static bool keep_text(struct fg_exchange *x, const char *text, size_t bytes)
{
    if (x->room - x->n_text < bytes || !x->text) {
        size_t room = 2 * (x->n_text + bytes) + 256; /* both lie in memory already */
        char *p = realloc(x->text, room);

        if (!p)
            return false;
        x->text = p;
        x->room = room;
    }
    if (bytes)
        memcpy(x->text + x->n_text, text, bytes);
    x->n_text += bytes;
    return true;
}

/* Text of an answer with tools waits where it may turn out to be a tool call. */
static bool stream_delta(struct fg_exchange *x, const struct fg_job_event *e, json_t *logprobs)
{
    size_t from = x->n_sent;

    start_stream(x);
    if (!x->tools)
        return send_text(x, e->text, e->text_bytes, logprobs);
    if (!keep_text(x, e->text, e->text_bytes)) {
        fail_nomem(x);
        return false;
    }
    x->n_sent = fg_tool_calls_clear(x->text, x->n_text, from);
    return send_text(x, x->text + from, x->n_sent - from, logprobs);
}

static void on_delta(struct fg_exchange *x, const struct fg_job_event *e)
{
    json_t *logprobs = NULL;

    if (x->answer.n_logprobs >= 0 && e->n_tokens) {
        logprobs = fg_answer_logprobs(&x->answer, e->tokens, e->n_tokens);
        if (!logprobs) {
            fail_nomem(x);
            return;
        }
    }
    if (x->answer.stream) {
        stream_delta(x, e, logprobs);
    } else if (!keep_text(x, e->text, e->text_bytes) ||
               (x->logprobs && logprobs && fg_answer_logprobs_extend(x->logprobs, logprobs))) {
        fail_nomem(x);
    } else if (!x->logprobs) {
        x->logprobs = json_incref(logprobs);
    }
    json_decref(logprobs);
}

static void on_progress(struct fg_exchange *x, const struct fg_job_event *e)
{
    start_stream(x);
    send_chunk(x, fg_answer_chunk_progress(&x->answer, e->done, e->total, e->reused));
}

static void finish_stream(struct fg_exchange *x, const struct fg_job_event *e)
{
    const struct fg_answer *a = &x->answer;
    size_t content = x->n_text, from = x->n_sent;
    const char *text = x->text ? x->text : "";
    json_t *calls = NULL;
    bool ok;

    start_stream(x);
    if (x->tools)
        calls = fg_tool_calls_read(text, x->n_text, a->nonce, &content);
    ok = send_text(x, text + from, content > from ? content - from : 0, NULL);
    if (ok && calls)
        ok = send_chunk(x, fg_answer_chunk_calls(a, calls));
    ok = ok && send_chunk(x, fg_answer_chunk_finish(a, calls != NULL, e->finish, &e->account));
    if (ok && a->include_usage)
        ok = send_chunk(x, fg_answer_chunk_usage(a, &e->account));
    if (ok)
        send_line(x, "[DONE]");
    if (x->req)
        evhttp_send_reply_end(let_go(x));
    json_decref(calls);
}

static void finish_whole(struct fg_exchange *x, const struct fg_job_event *e)
{
    const char *text = x->text ? x->text : "";
    size_t content = x->n_text;
    json_t *calls = NULL, *root;
    struct fg_api *api = x->api;

    if (x->tools && !x->forecast)
        calls = fg_tool_calls_read(text, x->n_text, x->answer.nonce, &content);
    if (!x->logprobs && x->answer.n_logprobs >= 0)
        x->logprobs = fg_answer_logprobs(&x->answer, NULL, 0); /* of an empty answer */
    root = x->forecast ? fg_cache_forecast_json(x->answer.model, &e->account)
                       : fg_answer_whole(&x->answer, text, content, calls, x->logprobs, e->finish,
                                         &e->account);
    json_decref(calls);
    x->status = root ? 200 : 500;
    fg_reply_json(api, let_go(x), x->status, root);
}

static void log_end(const struct fg_exchange *x, const struct fg_job_event *e)
{
    const struct fg_job_account *a = &e->account;
    double ms = fg_clock_ms() - x->begun;

    if (e->kind == FG_EVENT_DONE)
        fg_log(FG_LOG_INFO, "api",
               "job=%llu status=%d stream=%d prompt=%u reused=%u completion=%u ms=%.1f",
               (unsigned long long)x->api->backend.job_id(x->api->backend.ctx, x->job), x->status,
               x->answer.stream, a->prompt_tokens, a->reused_tokens, a->completion_tokens, ms);
    else
        fg_log(FG_LOG_INFO, "api", "job=%llu status=%d stream=%d error=\"%s\" ms=%.1f",
               (unsigned long long)x->api->backend.job_id(x->api->backend.ctx, x->job), x->status,
               x->answer.stream, fg_strerror(e->error.code), ms);
}

static void on_last(struct fg_exchange *x, const struct fg_job_event *e)
{
    struct fg_api *api = x->api;
    struct fg_api_error error;

    if (x->req && e->kind == FG_EVENT_FAILED) {
        fg_api_error_from(&error, &e->error, api->draining);
        fail(x, &error);
    } else if (x->req && x->answer.stream) {
        finish_stream(x, e);
    } else if (x->req) {
        finish_whole(x, e);
    }
    log_end(x, e);
    TAILQ_REMOVE(&api->exchanges, x, link);
    free_exchange(x);
    fg_api_check_drained(api);
}

static void deliver(struct fg_letter *letter)
{
    struct fg_exchange *x = letter->to;

    if (letter == &x->last) {
        if (atomic_load(&x->lost_event))
            fail_nomem(x);
        on_last(x, &letter->event); /* frees x, and the letter with it */
        return;
    }
    if (x->req && letter->event.kind == FG_EVENT_DELTA)
        on_delta(x, &letter->event);
    else if (x->req)
        on_progress(x, &letter->event);
    free(letter);
}

void fg_exchange_deliver(struct fg_api *api, bool wait)
{
    struct fg_letter *letter = fg_mailbox_take(&api->mailbox, wait);

    while (letter) {
        struct fg_letter *next = letter->next;

        deliver(letter);
        letter = next;
    }
}

static struct fg_exchange *new_exchange(struct fg_api *api, const struct fg_api_request *r)
{
    struct fg_exchange *x = calloc(1, sizeof *x);

    if (!x)
        return NULL;
    x->api = api;
    x->tools = r->tools;
    x->forecast = r->job.mode == FG_MODE_FORECAST;
    x->answer.chat = r->chat;
    x->answer.stream = r->stream;
    x->answer.include_usage = r->include_usage;
    x->answer.n_logprobs = r->job.n_logprobs;
    x->last.to = x;
    atomic_init(&x->lost_event, false);
    x->begun = fg_clock_ms();
    if (fg_answer_init(&x->answer, &api->info)) {
        free(x);
        return NULL;
    }
    return x;
}

static int submit(struct fg_api *api, struct fg_conn *conn, struct evhttp_request *req,
                  struct fg_api_request *parsed, struct fg_api_error *e)
{
    struct fg_exchange *x = new_exchange(api, parsed);
    struct fg_err err = {0};

    if (!x)
        return fg_json_nomem(e);
    parsed->job.tenant = conn->caller.tenant;
    if (api->backend.submit(api->backend.ctx, &parsed->job, sink, x, &x->job, &err)) {
        free(x);
        fg_api_error_from(e, &err, api->draining);
        return FG_EINVAL;
    }
    x->conn = conn;
    x->req = req;
    TAILQ_INSERT_TAIL(&api->exchanges, x, link);
    fg_conn_wait(conn, x);
    return 0;
}

static int parse(struct fg_api *api, const json_t *body, enum fg_exchange_kind kind,
                 struct fg_api_request *out, struct fg_api_error *e)
{
    bool explain = kind == FG_EXCHANGE_EXPLAIN;
    bool chat = explain ? json_object_get(body, "messages") != NULL : kind == FG_EXCHANGE_CHAT;
    int r = fg_api_request_parse(body, chat, &api->info, out, e);

    if (r == 0 && explain) {
        out->job.mode = FG_MODE_FORECAST;
        out->stream = false;
    }
    return r;
}

void fg_exchange_start(struct fg_api *api, struct fg_conn *conn, struct evhttp_request *req,
                       enum fg_exchange_kind kind)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t n = evbuffer_get_length(in);
    const char *bytes = n ? (const char *)evbuffer_pullup(in, -1) : "";
    struct fg_api_request parsed;
    struct fg_api_error e;
    json_t *body = NULL;
    int r;

    if (!bytes) {
        r = fg_json_nomem(&e);
    } else if (api->draining) {
        r = fg_api_fail(&e, 503, NULL, "draining", "the daemon is shutting down");
    } else {
        r = fg_json_parse(bytes, n, &body, &e);
    }
    if (!r)
        r = parse(api, body, kind, &parsed, &e);
    json_decref(body);
    evbuffer_drain(in, n);
    if (!r) {
        r = submit(api, conn, req, &parsed, &e);
        fg_api_request_finish(&parsed);
    }
    if (r)
        fg_reply_error(api, req, &e);
}

void fg_exchange_lost(struct fg_exchange *x)
{
    /* evhttp leaves us a request that it has taken off the connection; others it frees itself. */
    if (!evhttp_request_get_connection(x->req))
        evhttp_request_free(x->req);
    let_go(x);
    x->status = 0;
    x->api->backend.cancel(x->api->backend.ctx, x->job);
}

void fg_exchange_cancel_all(struct fg_api *api)
{
    struct fg_exchange *x;

    TAILQ_FOREACH(x, &api->exchanges, link)
    x->api->backend.cancel(x->api->backend.ctx, x->job);
}
