/* A response as it is written: whole, or as a stream of events. */
#include "responses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/common/block_answer.h"
#include "api/common/body.h"
#include "api/common/cache_json.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/json_scan.h"
#include "dialect.h"
#include "http/json_in.h"
#include "http/json_out.h"
#include "http/lossy.h"
#include "http/stream.h"
#include "request_json.h"
#include "responses_json.h"
#include "responses_kept.h"
#include "responses_request.h"

enum { SILENT_MS = 3000 /* then a stream gets a comment */ };

struct response {
    struct fg_block_answer answer;
    bool stores; /* the answer, so that another may go on with it */
    bool started;
    double sent; /* when something last went out; fg_clock_ms() */
    char nonce[25], id[40];
    int64_t created; /* unix seconds */
    size_t n_events;
    struct fg_buffer echo;  /* what it repeats of its request */
    struct fg_buffer items; /* the conversation before it, if it stores */
    struct fg_hold copies;  /* for these two */
    bool complete, cut;     /* it has ended; by max_output_tokens or the context */
};

static struct response *of(struct fg_request *answer)
{
    return (struct response *)answer;
}

/* --- the request --- */

/* The conversation that it goes on with. before->text is the caller's, or NULL. */
static int read_previous(struct fg_str body, const struct fg_asking *a,
                         struct fg_kept_response *before, struct fg_http_error *e)
{
    struct fg_str whole = {"", 0}, id;
    struct fg_str bare;

    *before = (struct fg_kept_response){.items = ""};

    (void)fg_scan_whole(body, &whole);
    if (!fg_responses_find(whole, "previous_response_id", &id))
        return 0;
    if (id.p[0] != '"')
        return fg_http_fail(e, 400, "previous_response_id", NULL,
                            "previous_response_id: it must be a string");
    bare = (struct fg_str){id.p + 1, id.n - 2};
    if (fg_responses_recall(a->service, a->tenant, bare, before))
        return 0;
    return fg_http_fail(e, 404, "previous_response_id", "previous_response_not_found",
                        "previous_response_id: found %.*s, which is not kept here (any more)",
                        (int)(id.n < 80 ? id.n : 80), id.p);
}

static bool says_no(struct fg_str body, const char *name)
{
    struct fg_str whole = {"", 0}, v;

    (void)fg_scan_whole(body, &whole);
    return fg_responses_find(whole, name, &v) && v.p[0] == 'f';
}

/* What of the body's text is wanted later. */
static void copy_text(struct response *x, struct fg_str body, const char *before)
{
    fg_responses_echo(body, &x->echo);
    x->stores = !says_no(body, "store") && body.n <= FG_DOCUMENT_BYTES;
    if (!x->stores)
        return;
    fg_buffer_str(&x->items, before);
    fg_responses_input(body, &x->items);
}

static int read_response(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                         struct fg_http_error *e)
{
    struct response *x = of(answer);
    struct fg_str body = fg_body_text(a->body);
    struct fg_buffer chat = {0};
    struct fg_api_request r;
    struct fg_kept_response before;
    int rc = read_previous(body, a, &before, e);

    if (rc == 0)
        rc = fg_responses_chat(body, (struct fg_str){before.items, strlen(before.items)}, &chat, e);
    if (rc == 0) {
        copy_text(x, body, before.items);
        rc = fg_body_hold(a->body, &x->copies, x->echo.n + x->items.n, e);
    }
    free(before.text);
    if (rc) {
        fg_buffer_finish(&chat);
        return rc;
    }
    rc = fg_openai_read_as_chat(a, &chat, &r, e);
    if (rc)
        return rc;
    *job = r.job;
    rc = fg_openai_form(a, &r, &x->answer.form, &x->answer.schemas, e);
    if (rc)
        return rc;
    x->stores = x->stores && job->cache == FG_CACHE_READ_WRITE;
    fg_block_answer_read(&x->answer, a, job, r.stream);
    return x->echo.failed || x->items.failed ? fg_json_nomem(e) : 0;
}

/* --- the response's text --- */

static const char *status_of(const struct response *x, const struct fg_http_error *failed)
{
    return failed ? "failed" : !x->complete ? "in_progress" : x->cut ? "incomplete" : "completed";
}

static json_t *error_of(const struct fg_http_error *failed)
{
    return failed ? json_pack("{s:s, s:o}", "code", failed->code ? failed->code : "server_error",
                              "message", fg_json_string(failed->message))
                  : json_null();
}

/* All but the items and what is repeated. */
static json_t *frame(const struct response *x, const struct fg_http_error *failed)
{
    json_t *usage = x->complete ? fg_response_usage(&x->answer.account) : json_null();
    json_t *cut =
        x->complete && x->cut ? json_pack("{s:s}", "reason", "max_output_tokens") : json_null();

    return json_pack("{s:s, s:s, s:I, s:s, s:n, s:o, s:o, s:o, s:o, s:o*}", "id", x->id, "object",
                     "response", "created_at", (json_int_t)x->created, "status",
                     status_of(x, failed), "completed_at", "error", error_of(failed),
                     "incomplete_details", cut, "model",
                     fg_json_string(x->answer.asking->service->info.model_name), "usage", usage,
                     "fulgur", x->complete ? fg_cache_json(&x->answer.account) : NULL);
}

/* Takes over `json`. */
static void add_json(struct fg_buffer *out, json_t *json)
{
    char *text = fg_json_dump(json);

    json_decref(json);
    if (text)
        fg_buffer_str(out, text);
    else
        out->failed = true;
    free(text);
}

static void add_response(const struct response *x, const struct fg_http_error *failed,
                         struct fg_buffer *out)
{
    add_json(out, frame(x, failed));
    if (out->failed)
        return;
    out->n--; /* its last bracket */
    fg_buffer_str(out, ",\"output\":[");
    for (size_t i = 0; x->complete && i < x->answer.blocks.n; i++) {
        fg_buffer_str(out, i ? "," : "");
        add_json(out, fg_item_json(x->nonce, &x->answer.blocks.list[i], i, false));
    }
    fg_buffer_str(out, "]");
    fg_buffer_add(out, x->echo.p, x->echo.n);
    fg_buffer_str(out, "}");
}

/* --- the stream --- */

static void nomem(struct response *x);

/* Takes over `data`. */
static void send_text(struct response *x, const char *name, struct fg_buffer *data)
{
    if (!data->failed)
        fg_stream_named(&x->answer.request, name, data->p);
    else
        nomem(x);
    fg_buffer_finish(data);
    x->sent = fg_clock_ms();
}

/* Takes over `members`, the event but for its type and number. */
static void send_event(struct response *x, const char *name, json_t *members)
{
    struct fg_buffer data = {0};

    if (!x->answer.request.ev) {
        json_decref(members);
        return;
    }
    if (members && json_object_set_new(members, "type", json_string(name)) == 0 &&
        json_object_set_new(members, "sequence_number", json_integer((json_int_t)x->n_events++)) ==
            0)
        add_json(&data, members);
    else
        data.failed = true;
    send_text(x, name, &data);
}

static void keep(struct response *x, struct fg_str text);

/* Keeps the response as well, where it is complete. */
static void send_response(struct response *x, const char *name, const struct fg_http_error *failed)
{
    struct fg_buffer data = {0};
    char head[128];
    size_t at;

    if (!x->answer.request.ev)
        return;
    snprintf(head, sizeof head, "{\"type\":\"%s\",\"sequence_number\":%zu,\"response\":", name,
             x->n_events++);
    fg_buffer_str(&data, head);
    at = data.n;
    add_response(x, failed, &data);
    if (!data.failed)
        keep(x, (struct fg_str){data.p + at, data.n - at});
    fg_buffer_str(&data, "}");
    send_text(x, name, &data);
}

static void fail(struct fg_request *answer, const struct fg_http_error *e)
{
    struct response *x = of(answer);

    if (!answer->ev)
        return;
    if (!answer->started) {
        fg_reply_error(answer, e);
        return;
    }
    x->complete = false;
    send_response(x, "response.failed", e);
    if (answer->ev)
        fg_stream_end(answer);
}

/* There may be no memory to say so in. */
static void nomem(struct response *x)
{
    if (x->answer.request.ev && x->answer.request.started)
        fg_request_abort(&x->answer.request);
    else if (x->answer.request.ev)
        fg_reply_text(&x->answer.request, 500, NULL);
}

static void begin(struct fg_request *answer)
{
    struct response *x = of(answer);

    if (!answer->ev || !x->answer.stream || x->started)
        return;
    x->started = true;
    fg_stream_start(answer, FG_STREAM_EVENTS);
    send_response(x, "response.created", NULL);
    send_response(x, "response.in_progress", NULL);
}

static void keep_alive(struct fg_request *answer)
{
    struct response *x = of(answer);

    if (!answer->ev || !answer->started || fg_clock_ms() - x->sent < SILENT_MS)
        return;
    fg_stream_comment(answer);
    x->sent = fg_clock_ms();
}

static void begin_item(struct response *x, size_t index, const char *id)
{
    const struct fg_block *b = &x->answer.blocks.list[index];

    send_event(x, "response.output_item.added",
               json_pack("{s:I, s:o}", "output_index", (json_int_t)index, "item",
                         fg_item_json(x->nonce, b, index, true)));
    if (b->kind != FG_BLOCK_CALL)
        send_event(x, "response.content_part.added",
                   json_pack("{s:s, s:I, s:i, s:o}", "item_id", id, "output_index",
                             (json_int_t)index, "content_index", 0, "part",
                             fg_item_part(b, (struct fg_str){"", 0})));
}

static const char *const delta_names[] = {"response.reasoning_text.delta",
                                          "response.output_text.delta",
                                          "response.function_call_arguments.delta"};
static const char *const done_names[] = {"response.reasoning_text.done",
                                         "response.output_text.done",
                                         "response.function_call_arguments.done"};

/* A delta, or with `name` what it came to. */
static json_t *text_event(const struct fg_block *b, const char *id, size_t index, const char *name,
                          json_t *text)
{
    bool call = b->kind == FG_BLOCK_CALL, output = b->kind == FG_BLOCK_TEXT;

    return json_pack("{s:s, s:I, s:o*, s:o, s:o*}", "item_id", id, "output_index",
                     (json_int_t)index, "content_index", call ? NULL : json_integer(0), name, text,
                     "logprobs", output ? json_array() : NULL);
}

static void end_item(struct response *x, size_t index, const char *id)
{
    const struct fg_block *b = &x->answer.blocks.list[index];
    bool call = b->kind == FG_BLOCK_CALL;
    json_t *done = text_event(b, id, index, call ? "arguments" : "text", fg_item_text(&b->text));

    if (call && done)
        json_object_set_new(done, "name", fg_item_text(&b->name));
    send_event(x, done_names[b->kind], done);
    if (!call)
        send_event(x, "response.content_part.done",
                   json_pack("{s:s, s:I, s:i, s:o}", "item_id", id, "output_index",
                             (json_int_t)index, "content_index", 0, "part",
                             fg_item_part(b, fg_block_text(&b->text))));
    send_event(x, "response.output_item.done",
               json_pack("{s:I, s:o}", "output_index", (json_int_t)index, "item",
                         fg_item_json(x->nonce, b, index, false)));
}

static void on_block(void *ctx, size_t index, enum fg_block_step step, struct fg_str more)
{
    struct response *x = ctx;
    const struct fg_block *b = &x->answer.blocks.list[index];
    char id[FG_ITEM_ID];

    if (!x->answer.request.ev)
        return;
    fg_item_id(x->nonce, b, index, id);
    switch (step) {
    case FG_BLOCK_BEGINS: begin_item(x, index, id); break;
    case FG_BLOCK_GROWS:
        send_event(x, delta_names[b->kind],
                   text_event(b, id, index, "delta", fg_json_stringn(more.p, more.n)));
        break;
    case FG_BLOCK_ENDS: end_item(x, index, id); break;
    }
}

static int start(struct fg_request *answer, struct fg_asking *a, struct fg_http_error *e)
{
    struct response *x = of(answer);

    (void)a;
    if (!fg_hex_random(sizeof x->nonce / 2, x->nonce))
        return fg_http_fail(e, 500, NULL, NULL, "no random id could be drawn");
    snprintf(x->id, sizeof x->id, "resp_%s", x->nonce);
    x->created = (int64_t)time(NULL);
    fg_block_answer_start(&x->answer, x->nonce, on_block, x);
    return 0;
}

/* --- the end --- */

static void push(struct response *x, const struct fg_job_event *e)
{
    fg_blocks_push(&x->answer.blocks, (struct fg_str){e->text, e->text_bytes});
}

static void done(struct response *x, const struct fg_job_event *e)
{
    (void)fg_block_answer_done(&x->answer, e);
    x->cut = e->finish == FG_FINISH_LENGTH;
    x->complete = true;
}

static bool event(struct fg_request *answer, size_t i, const struct fg_job_event *e)
{
    struct response *x = of(answer);

    (void)i;
    if (!answer->ev)
        return true;
    if (e->kind != FG_EVENT_FAILED)
        begin(answer);
    if (e->kind == FG_EVENT_BEGUN)
        fg_blocks_start(&x->answer.blocks, e->start);
    else if (e->kind == FG_EVENT_DELTA)
        push(x, e);
    else if (e->kind == FG_EVENT_DONE)
        done(x, e);
    if (x->answer.blocks.failed)
        nomem(x);
    return !x->answer.blocks.failed;
}

/* Keeps it, so that another request may go on with it. */
static void keep(struct response *x, struct fg_str text)
{
    if (!x->stores || !x->complete)
        return;
    for (size_t i = 0; i < x->answer.blocks.n; i++) {
        fg_buffer_str(&x->items, x->items.n ? "," : "");
        add_json(&x->items, fg_item_json(x->nonce, &x->answer.blocks.list[i], i, false));
    }
    if (!x->items.failed)
        fg_responses_keep(x->answer.asking->service, x->answer.asking->job, x->id,
                          fg_block_text(&x->items), text);
}

static void build(struct fg_request *answer)
{
    struct response *x = of(answer);
    struct fg_buffer out = {0};

    add_response(x, NULL, &out);
    if (out.failed) {
        fg_buffer_finish(&out);
        return;
    }
    keep(x, (struct fg_str){out.p, out.n});
    x->answer.body = out.p;
}

static void end(struct fg_request *answer)
{
    struct response *x = of(answer);

    send_response(x, x->cut ? "response.incomplete" : "response.completed", NULL);
    if (answer->ev)
        fg_stream_end(answer);
}

static void finish(struct fg_request *answer)
{
    struct response *x = of(answer);

    fg_buffer_finish(&x->echo);
    fg_buffer_finish(&x->items);
    fg_hold_release(&x->copies);
    fg_block_answer_finish(answer);
}

const struct fg_dialect fg_openai_response = {.bytes = sizeof(struct response),
                                              .waits = true,
                                              .read = read_response,
                                              .start = start,
                                              .begin = begin,
                                              .keep_alive = keep_alive,
                                              .event = event,
                                              .end = end,
                                              .size = fg_block_answer_size,
                                              .build = build,
                                              .send = fg_block_answer_send,
                                              .fail = fail,
                                              .finish = finish};
