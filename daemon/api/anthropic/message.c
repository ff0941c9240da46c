/* A message as it is written: whole, or as a stream of events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/common/block_answer.h"
#include "api/common/body.h"
#include "api/common/cache_json.h"
#include "api/openai/dialect.h"
#include "api/openai/request_json.h"
#include "base/clock.h"
#include "dialect.h"
#include "event_json.h"
#include "http/json_in.h"
#include "http/json_out.h"
#include "http/stream.h"
#include "request.h"

enum { SILENT_MS = 3000 /* then a stream says something */ };

struct message {
    struct fg_block_answer answer;
    bool count;
    bool started; /* message_start is out */
    double sent;  /* when something last went out; fg_clock_ms() */
    char id[FG_ANTHROPIC_ID];
    char **stop; /* the stop strings, [n_stop] */
    size_t n_stop;
    struct fg_message_cost cost;
    struct fg_message_head head;
};

static struct message *of(struct fg_request *answer)
{
    return (struct message *)answer;
}

/* --- the request --- */

static int copy_stops(struct message *m, const struct fg_job_request *job, struct fg_http_error *e)
{
    m->stop = calloc(job->n_stop + 1, sizeof *m->stop);
    if (!m->stop)
        return fg_json_nomem(e);
    for (size_t i = 0; i < job->n_stop; i++) {
        m->stop[i] = strdup(job->stop[i]);
        if (!m->stop[i])
            return fg_json_nomem(e);
        m->n_stop++;
    }
    return 0;
}

static int read_request(struct message *m, struct fg_asking *a, struct fg_job_request *job,
                        struct fg_http_error *e)
{
    const struct fg_anthropic_options opt = {.count = m->count,
                                             .keep_billing = a->service->keep_billing};
    struct fg_buffer chat = {0};
    struct fg_api_request r;
    bool bills = fg_anthropic_bills(fg_body_text(a->body), &opt);
    int rc = fg_anthropic_chat(fg_body_text(a->body), &opt, &chat, e);

    if (rc) {
        fg_buffer_finish(&chat);
        return rc;
    }
    rc = fg_openai_read_as_chat(a, &chat, &r, e);
    if (rc)
        return rc;
    *job = r.job;
    job->billing_left_out = bills;
    rc = fg_openai_form(a, &r, &m->answer.form, &m->answer.schemas, e);
    if (rc)
        return rc;
    fg_block_answer_read(&m->answer, a, job, r.stream && !m->count);
    job->want_progress = m->answer.stream; /* tells what the prompt costs */
    if (m->count)
        job->mode = FG_MODE_FORECAST;
    return copy_stops(m, job, e);
}

static int read_message(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                        struct fg_http_error *e)
{
    return read_request(of(answer), a, job, e);
}

static int read_count(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                      struct fg_http_error *e)
{
    of(answer)->count = true;
    return read_request(of(answer), a, job, e);
}

/* --- the stream --- */

static void fail(struct fg_request *answer, const struct fg_http_error *e)
{
    char *data;

    if (!answer->ev)
        return;
    if (!answer->started) {
        fg_reply_error(answer, e);
        return;
    }
    data = fg_request_error(answer, e);
    if (data)
        fg_stream_named(answer, "error", data);
    free(data);
    if (answer->ev)
        fg_stream_end(answer);
}

static void nomem(struct message *m)
{
    struct fg_http_error e;

    fg_json_nomem(&e);
    fail(&m->answer.request, &e);
}

/* Takes over `event`. */
static void send_event(struct message *m, json_t *event)
{
    const char *name = json_string_value(json_object_get(event, "type"));
    char *data = fg_json_dump(event);

    if (m->answer.request.ev && data)
        fg_stream_named(&m->answer.request, name, data);
    else if (m->answer.request.ev)
        nomem(m);
    free(data);
    json_decref(event);
    m->sent = fg_clock_ms();
}

static void begin(struct fg_request *answer)
{
    struct message *m = of(answer);

    if (!answer->ev || !m->answer.stream || answer->started)
        return;
    fg_stream_start(answer, FG_STREAM_EVENTS);
    m->sent = fg_clock_ms();
}

/* The first event: what the prompt costs is known. */
static void start_message(struct message *m)
{
    begin(&m->answer.request);
    if (m->started || !m->answer.request.ev)
        return;
    m->started = true;
    send_event(m, json_pack("{s:s, s:o}", "type", "message_start", "message",
                            fg_message_json(&m->head, json_array(), fg_message_usage(&m->cost))));
}

static void keep_alive(struct fg_request *answer)
{
    struct message *m = of(answer);

    if (!answer->ev || !answer->started || fg_clock_ms() - m->sent < SILENT_MS)
        return;
    if (m->started) {
        send_event(m, json_pack("{s:s}", "type", "ping"));
        return;
    }
    fg_stream_comment(answer); /* no event may come before message_start */
    m->sent = fg_clock_ms();
}

static void on_block(void *ctx, size_t index, enum fg_block_step step, struct fg_str more)
{
    struct message *m = ctx;
    const struct fg_block *b = &m->answer.blocks.list[index];

    if (!m->answer.request.ev)
        return;
    start_message(m);
    switch (step) {
    case FG_BLOCK_BEGINS: send_event(m, fg_event_block_start(index, b)); break;
    case FG_BLOCK_GROWS: send_event(m, fg_event_delta(index, b->kind, more)); break;
    case FG_BLOCK_ENDS:
        if (b->kind == FG_BLOCK_REASONING)
            send_event(m, fg_event_signature(index));
        if (m->answer.request.ev)
            send_event(m, fg_event_block_stop(index));
        break;
    }
}

static int start(struct fg_request *answer, struct fg_asking *a, struct fg_http_error *e)
{
    struct message *m = of(answer);

    if (!fg_anthropic_id("msg", m->id))
        return fg_http_fail(e, 500, NULL, NULL, "no random id could be drawn");
    m->head = (struct fg_message_head){.id = m->id, .model = a->service->info.model_name};
    fg_block_answer_start(&m->answer, m->id + strlen("msg_"), on_block, m);
    return 0;
}

/* --- the end --- */

static void done(struct message *m, const struct fg_job_event *e)
{
    const struct fg_block *call;

    m->answer.account = e->account;
    m->cost.prompt = e->account.prompt_tokens;
    m->cost.reused = e->account.reused_tokens;
    m->cost.written = e->account.written_tokens;
    m->cost.written_long = e->account.written_long_tokens;
    if (m->count)
        return;
    m->cost.output = e->account.completion_tokens;
    call = fg_block_answer_done(&m->answer, e);
    if (e->stop && e->stop <= m->n_stop) {
        m->head.stop_reason = "stop_sequence";
        m->head.stop_sequence = m->stop[e->stop - 1];
    } else if (e->finish == FG_FINISH_LENGTH) {
        m->head.stop_reason = "max_tokens";
    } else {
        m->head.stop_reason = call ? "tool_use" : "end_turn";
    }
}

static bool event(struct fg_request *answer, size_t i, const struct fg_job_event *e)
{
    struct message *m = of(answer);

    (void)i;
    if (!answer->ev)
        return true;
    switch (e->kind) {
    case FG_EVENT_BEGUN:
        fg_blocks_start(&m->answer.blocks, e->start);
        begin(answer);
        break;
    case FG_EVENT_PROGRESS:
        m->cost.prompt = e->total;
        m->cost.reused = e->reused;
        m->cost.written = e->written;
        m->cost.written_long = e->written_long;
        start_message(m);
        break;
    case FG_EVENT_DELTA:
        fg_blocks_push(&m->answer.blocks, (struct fg_str){e->text, e->text_bytes});
        break;
    case FG_EVENT_DONE: done(m, e); break;
    case FG_EVENT_PROMPT:
    case FG_EVENT_FAILED: break;
    }
    if (m->answer.blocks.failed && answer->ev)
        nomem(m);
    return !m->answer.blocks.failed;
}

static void end(struct fg_request *answer)
{
    struct message *m = of(answer);

    start_message(m);
    if (answer->ev)
        send_event(m, fg_event_message_delta(&m->head, fg_message_usage(&m->cost),
                                             fg_cache_json(&m->answer.account)));
    if (answer->ev)
        send_event(m, json_pack("{s:s}", "type", "message_stop"));
    if (answer->ev)
        fg_stream_end(answer);
}

/* All but the content. */
static char *frame(struct message *m)
{
    json_t *root = fg_message_json(&m->head, NULL, fg_message_usage(&m->cost));
    json_t *fulgur = fg_cache_json(&m->answer.account);
    char *text = NULL;

    if (root && fulgur && json_object_set(root, "fulgur", fulgur) == 0)
        text = fg_json_dump(root);
    json_decref(fulgur);
    json_decref(root);
    return text;
}

/* NULL: out of memory. */
static char *whole(struct message *m)
{
    struct fg_buffer out = {0};
    char *text = frame(m);

    if (!text)
        return NULL;
    fg_buffer_add(&out, text, strlen(text) - 1); /* without its last bracket */
    free(text);
    fg_buffer_str(&out, ",\"content\":[");
    for (size_t i = 0; i < m->answer.blocks.n; i++) {
        fg_buffer_str(&out, i ? "," : "");
        fg_message_block(&m->answer.blocks.list[i], &out);
    }
    fg_buffer_str(&out, "]}");
    if (!out.failed)
        return out.p;
    fg_buffer_finish(&out);
    return NULL;
}

static void build(struct fg_request *answer)
{
    struct message *m = of(answer);
    json_t *count;

    if (!m->count) {
        m->answer.body = whole(m);
        return;
    }
    count = json_pack("{s:I}", "input_tokens", (json_int_t)m->answer.account.prompt_tokens);
    m->answer.body = fg_json_dump(count);
    json_decref(count);
}

static void finish(struct fg_request *answer)
{
    struct message *m = of(answer);

    for (size_t i = 0; i < m->n_stop; i++)
        free(m->stop[i]);
    free(m->stop);
    fg_block_answer_finish(answer);
}

#define ANTHROPIC(how)                                                                             \
    {                                                                                              \
        .bytes = sizeof(struct message), .read = how, .start = start, .begin = begin,              \
        .keep_alive = keep_alive, .event = event, .end = end, .size = fg_block_answer_size,        \
        .build = build, .send = fg_block_answer_send, .fail = fail, .finish = finish               \
    }

const struct fg_dialect fg_anthropic_message = ANTHROPIC(read_message);
const struct fg_dialect fg_anthropic_count = ANTHROPIC(read_count);
