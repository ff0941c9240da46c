#include "writer.h"

#include <stdlib.h>

#include "api/common/cache_json.h"
#include "http/json_in.h"
#include "http/json_out.h"
#include "http/stream.h"
#include "text/tools/tool_calls.h"

void fg_writer_finish(struct fg_writer *w)
{
    json_decref(w->logprobs);
    fg_buffer_finish(&w->text);
    free(w->body);
}

void fg_writer_fail(struct fg_writer *w, const struct fg_http_error *e)
{
    json_t *root;
    char *data;

    if (!w->request.ev)
        return;
    if (!w->request.started) {
        fg_reply_error(&w->request, e);
        return;
    }
    root = fg_http_error_json(e);
    data = fg_json_dump(root);
    json_decref(root);
    if (data)
        fg_stream_event(&w->request, data);
    free(data);
    if (w->request.ev)
        fg_stream_end(&w->request);
}

bool fg_writer_nomem(struct fg_writer *w)
{
    struct fg_http_error e;

    fg_json_nomem(&e);
    fg_writer_fail(w, &e);
    return false;
}

/* Takes over `chunk`. False: memory ran out. */
static bool send_chunk(struct fg_writer *w, json_t *chunk)
{
    char *data = fg_json_dump(chunk);
    bool ok = data != NULL;

    json_decref(chunk);
    if (w->request.ev && data)
        fg_stream_event(&w->request, data);
    else if (w->request.ev)
        fg_writer_nomem(w);
    free(data);
    return ok;
}

/* Sends text with its logprobs (borrowed, or NULL). */
static bool send_text(struct fg_writer *w, const char *text, size_t bytes, json_t *logprobs)
{
    if (w->answer.chat && !w->role_sent) {
        w->role_sent = true;
        if (!send_chunk(w, fg_answer_chunk_role(&w->answer)))
            return false;
    }
    if (!w->request.ev || (!bytes && !logprobs))
        return true;
    return send_chunk(w, fg_answer_chunk_text(&w->answer, text, bytes, logprobs));
}

static bool keep_text(struct fg_writer *w, const struct fg_job_event *e)
{
    fg_buffer_add(&w->text, e->text, e->text_bytes);
    return !w->text.failed;
}

/* Text of an answer with tools waits where it may turn out to be a tool call. */
static bool stream_delta(struct fg_writer *w, const struct fg_job_event *e, json_t *logprobs)
{
    size_t from = w->n_sent;

    fg_stream_start(&w->request, FG_STREAM_EVENTS);
    if (!w->tools)
        return send_text(w, e->text, e->text_bytes, logprobs);
    if (!keep_text(w, e))
        return fg_writer_nomem(w);
    w->n_sent = fg_tool_calls_clear(w->text.p ? w->text.p : "", w->text.n, from);
    return send_text(w, w->text.p ? w->text.p + from : "", w->n_sent - from, logprobs);
}

/* Of an answer in one piece. */
static bool keep_delta(struct fg_writer *w, const struct fg_job_event *e, json_t *logprobs)
{
    if (!keep_text(w, e) ||
        (w->logprobs && logprobs && fg_answer_logprobs_extend(w->logprobs, logprobs)))
        return fg_writer_nomem(w);
    if (!w->logprobs)
        w->logprobs = json_incref(logprobs);
    w->n_logprobs += logprobs ? e->n_tokens : 0;
    return true;
}

bool fg_writer_delta(struct fg_writer *w, const struct fg_job_event *e)
{
    json_t *logprobs = NULL;
    bool ok;

    if (!w->request.ev)
        return true;
    if (w->answer.n_logprobs >= 0 && e->n_tokens) {
        logprobs = fg_answer_logprobs(&w->answer, e->tokens, e->n_tokens);
        if (!logprobs)
            return fg_writer_nomem(w);
    }
    ok = w->answer.stream ? stream_delta(w, e, logprobs) : keep_delta(w, e, logprobs);
    json_decref(logprobs);
    return ok;
}

bool fg_writer_progress(struct fg_writer *w, const struct fg_job_event *e)
{
    if (!w->request.ev)
        return true;
    fg_stream_start(&w->request, FG_STREAM_EVENTS);
    return send_chunk(w, fg_answer_chunk_progress(&w->answer, e->done, e->total, e->reused));
}

void fg_writer_end_stream(struct fg_writer *w, const struct fg_job_event *e)
{
    const struct fg_answer *a = &w->answer;
    size_t content = w->text.n, from = w->n_sent;
    const char *text = w->text.p ? w->text.p : "";
    json_t *calls = NULL;

    fg_stream_start(&w->request, FG_STREAM_EVENTS);
    if (w->tools)
        calls = fg_tool_calls_read(text, w->text.n, a->nonce, &content);
    send_text(w, text + from, content > from ? content - from : 0, NULL);
    if (w->request.ev && calls)
        send_chunk(w, fg_answer_chunk_calls(a, calls));
    if (w->request.ev)
        send_chunk(w, fg_answer_chunk_finish(a, calls != NULL, e->finish, &e->account));
    if (w->request.ev && a->include_usage)
        send_chunk(w, fg_answer_chunk_usage(a, &e->account));
    if (w->request.ev)
        fg_stream_event(&w->request, "[DONE]");
    if (w->request.ev)
        fg_stream_end(&w->request);
    json_decref(calls);
}

void fg_writer_build(struct fg_writer *w, const struct fg_job_event *e)
{
    const char *text = w->text.p ? w->text.p : "";
    size_t content = w->text.n;
    json_t *calls = NULL, *root;

    if (w->tools && !w->forecast)
        calls = fg_tool_calls_read(text, w->text.n, w->answer.nonce, &content);
    if (!w->logprobs && w->answer.n_logprobs >= 0)
        w->logprobs = fg_answer_logprobs(&w->answer, NULL, 0); /* of an empty answer */
    root = w->forecast
               ? fg_cache_forecast_json(w->answer.model, &e->account)
               : fg_answer_whole(&w->answer, &(struct fg_answer_parts){.text = {text, content},
                                                                       .calls = calls,
                                                                       .logprobs = w->logprobs,
                                                                       .finish = e->finish,
                                                                       .account = &e->account});
    json_decref(calls);
    w->body = fg_json_dump(root);
    json_decref(root);
}

void fg_writer_send(struct fg_writer *w)
{
    fg_reply_text(&w->request, 200, w->body);
    w->body = NULL;
}

size_t fg_writer_bytes(const struct fg_writer *w)
{
    const size_t token = 64; /* with its logprob and its alternatives' */

    return w->text.n + w->n_logprobs * token * (size_t)(1 + w->answer.n_logprobs);
}
