#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "base/clock.h"
#include "http.h"
#include "json.h"
#include "logprobs.h"

static int canceled(struct fg_client_answer *a, int callback)
{
    return callback == 0 ? 0 : fg_fail(a->err, FG_ECANCELED, "canceled by the callback");
}

static void note_first_text(struct fg_client_answer *a)
{
    if (a->result->first_text_ms < 0) {
        a->result->first_text_ms = fg_clock_ms() - a->started;
    }
}

static int take_reasoning(struct fg_client_answer *a, const char *text, size_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    note_first_text(a);
    if (a->handler->on_reasoning) {
        return canceled(a, a->handler->on_reasoning(a->handler->ctx, text, bytes));
    }
    if (a->handler->on_text) {
        return 0;
    }
    int rc = fg_buffer_add_within(&a->reasoning, text, bytes, FG_CLIENT_ANSWER_MAX);
    return rc == 0 ? 0 : fg_fail(a->err, rc, "the answer's reasoning: %s", fg_strerror(rc));
}

static int take_text(struct fg_client_answer *a, const char *text, size_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    note_first_text(a);
    if (a->handler->on_text) {
        return canceled(a, a->handler->on_text(a->handler->ctx, text, bytes));
    }
    int rc = fg_buffer_add_within(&a->text, text, bytes, FG_CLIENT_ANSWER_MAX);
    return rc == 0 ? 0 : fg_fail(a->err, rc, "the answer: %s", fg_strerror(rc));
}

static int take_progress(struct fg_client_answer *a, const json_t *object)
{
    struct fg_client_json j = {object, "fulgur.progress", a->err};
    struct fg_client_progress p = {0};
    int rc = fg_client_json_count(&j, "done", &p.done);

    rc = rc < 0 ? rc : fg_client_json_count(&j, "total", &p.total);
    rc = rc < 0 ? rc : fg_client_json_count(&j, "reused", &p.reused);
    if (rc < 0 || !a->handler->on_progress) {
        return rc < 0 ? rc : 0;
    }
    /* What the header promises holds whatever was sent. */
    p.done = p.done > p.total ? p.total : p.done;
    p.reused = p.reused > p.done ? p.done : p.reused;
    return canceled(a, a->handler->on_progress(a->handler->ctx, &p));
}

static int take_fulgur(struct fg_client_answer *a, const json_t *object)
{
    struct fg_client_json j = {object, "fulgur", a->err};
    const json_t *member;
    int rc = fg_client_json_object(&j, "progress", &member);

    if (rc > 0) {
        rc = take_progress(a, member);
    }
    if (rc < 0) {
        return rc;
    }
    rc = fg_client_json_object(&j, "cache", &member);
    if (rc <= 0) {
        return rc;
    }
    rc = fg_client_account_read(member, &a->result->account, a->err);
    a->result->has_account = rc == 0;
    return rc;
}

static int take_usage(struct fg_client_answer *a, const json_t *object)
{
    struct fg_client_json j = {object, "usage", a->err};
    int rc = fg_client_json_count(&j, "prompt_tokens", &a->result->prompt_tokens);

    rc = rc < 0 ? rc : fg_client_json_count(&j, "completion_tokens", &a->result->completion_tokens);
    if (rc < 0) {
        return rc;
    }
    a->result->has_usage = true;
    return 0;
}

static int take_finish(struct fg_client_answer *a, const struct fg_client_json *choice)
{
    const char *s;
    size_t n;
    int rc = fg_client_json_string(choice, "finish_reason", &s, &n);

    if (rc <= 0) {
        return rc;
    }
    a->result->finish = strcmp(s, "stop") == 0     ? FG_CLIENT_FINISH_STOP
                        : strcmp(s, "length") == 0 ? FG_CLIENT_FINISH_LENGTH
                                                   : FG_CLIENT_FINISH_OTHER;
    return 0;
}

/* What one step of a chat's answer says; 1: text and n are its content, 0: it has none. */
static int take_delta(struct fg_client_answer *a, const struct fg_client_json *delta,
                      const char **text, size_t *n)
{
    int rc = fg_client_json_string(delta, "reasoning_content", text, n);

    rc = rc > 0 ? take_reasoning(a, *text, *n) : rc;
    return rc < 0 ? rc : fg_client_json_string(delta, "content", text, n);
}

/* A completion's choice has "text", a chat's "delta": {"content", "reasoning_content"}. */
static int take_choice(struct fg_client_answer *a, const json_t *object)
{
    struct fg_client_json j = {object, "choices[0]", a->err};
    struct fg_client_json delta = {NULL, "choices[0].delta", a->err};
    const json_t *logprobs;
    const char *text;
    size_t n;
    int rc = fg_client_json_string(&j, "text", &text, &n);

    if (rc == 0) {
        rc = fg_client_json_object(&j, "delta", &delta.object);
        rc = rc > 0 ? take_delta(a, &delta, &text, &n) : rc;
    }
    if (rc > 0) {
        rc = take_text(a, text, n);
    }
    if (rc < 0) {
        return rc;
    }
    rc = fg_client_json_object(&j, "logprobs", &logprobs);
    if (rc > 0 && a->handler->on_tokens) {
        struct fg_client_logprobs l;
        rc = fg_client_logprobs_read(logprobs, &l, a->err);
        if (rc == 0 && l.n > 0) {
            rc = canceled(a, a->handler->on_tokens(a->handler->ctx, l.tokens, l.n));
        }
        fg_client_logprobs_finish(&l);
    }
    return rc < 0 ? rc : take_finish(a, &j);
}

static int take_chunk(struct fg_client_answer *a, const json_t *root)
{
    struct fg_client_json j = {root, "chunk", a->err};
    const json_t *member;
    const char *model;
    size_t n;
    int rc = fg_client_json_string(&j, "model", &model, &n);

    if (rc > 0) {
        size_t keep = n < sizeof a->result->model ? n : sizeof a->result->model - 1;
        memcpy(a->result->model, model, keep);
        a->result->model[keep] = '\0';
    }
    rc = rc < 0 ? rc : fg_client_json_array(&j, "choices", &member);
    if (rc == 0) {
        rc = fg_client_json_missing(&j, "choices", "an array");
    }
    if (rc > 0 && json_array_size(member) > 0) {
        const json_t *choice = json_array_get(member, 0);
        if (json_array_size(member) > 1 || !json_is_object(choice)) {
            return fg_fail(a->err, FG_EFORMAT,
                           "the daemon's answer: choices should be at most one object");
        }
        rc = take_choice(a, choice);
    }
    rc = rc < 0 ? rc : fg_client_json_object(&j, "usage", &member);
    rc = rc > 0 ? take_usage(a, member) : rc;
    rc = rc < 0 ? rc : fg_client_json_object(&j, "fulgur", &member);
    return rc > 0 ? take_fulgur(a, member) : rc;
}

int fg_client_answer_event(void *ctx, const char *data, size_t bytes)
{
    struct fg_client_answer *a = ctx;
    json_t *root;

    if (a->done) {
        return 0;
    }
    if (bytes == 6 && memcmp(data, "[DONE]", 6) == 0) {
        a->done = true;
        return 0;
    }
    int rc = fg_client_json_parse(data, bytes, "chunk", &root, a->err);
    if (rc == 0) {
        const json_t *error = json_object_get(root, "error");
        rc = error && !json_is_null(error) ? fg_client_stream_error(root, a->err)
                                           : take_chunk(a, root);
        json_decref(root);
    }
    return rc;
}
