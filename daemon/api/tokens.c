#include "tokens.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/body.h"
#include "common/service.h"
#include "http/json_in.h"
#include "http/json_out.h"
#include "http/lossy.h"
#include "http/request.h"
#include "openai/request_json.h"

/* Ids of one request to be made text of. */
enum { MAX_IDS = 1 << 20 };

struct tokens {
    struct fg_work work;
    struct fg_service *service;
    struct fg_request request;
    struct fg_body *body;
    struct fg_tenant tenant;
    bool to_text;
    char *answer; /* JSON; NULL: rc and `error` say why not */
    int rc;
    struct fg_http_error error;
};

/* {"tokens":[...],...} as text: as JSON values, millions of ids would take gigabytes. */
static char *ids_json(const int32_t *ids, size_t n, uint32_t context)
{
    static const char head[] = "{\"tokens\":[";
    const size_t longest = 12; /* -2147483648, */
    const size_t around = 96;
    char *out = n < (SIZE_MAX - around) / longest ? malloc(n * longest + around) : NULL;
    char *at = out;

    if (!out)
        return NULL;
    at = stpcpy(at, head);
    for (size_t i = 0; i < n; i++) {
        char digits[12];
        int32_t v = ids[i];
        size_t d = sizeof digits;

        do
            digits[--d] = (char)('0' + v % 10);
        while ((v /= 10) > 0);
        if (i)
            *at++ = ',';
        memcpy(at, digits + d, sizeof digits - d);
        at += sizeof digits - d;
    }
    snprintf(at, around - sizeof head, "],\"count\":%zu,\"max_model_len\":%u}", n, context);
    return out;
}

static int encode(struct tokens *x, const struct fg_tokenize_request *request)
{
    const struct fg_backend *b = &x->service->backend;
    struct fg_err err = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    int rc = b->tokenize(b->ctx, request, &ids, &n, &err);

    if (rc) {
        fg_http_error_from(&x->error, &err, false);
        return rc;
    }
    x->answer = ids_json(ids, n, x->service->info.context_tokens);
    free(ids);
    return x->answer ? 0 : fg_json_nomem(&x->error);
}

static int refuse_special(bool special, struct fg_http_error *e)
{
    return special ? fg_http_fail(e, 400, "add_special_tokens", "unsupported_parameter",
                                  "add_special_tokens: found true, it must be false: a chat's "
                                  "template writes all of its tokens")
                   : 0;
}

/* The prompt that a chat of these messages would have. */
static int tokenize_chat(struct tokens *x, const json_t *body,
                         const struct fg_tokenize_request *given)
{
    struct fg_tokenize_request request = *given;
    struct fg_api_request chat = {.chat = true};
    int rc = refuse_special(given->add_special, &x->error);

    if (rc == 0)
        rc = fg_api_request_refuse(body, true, &x->error);
    if (rc == 0)
        rc = fg_api_request_chat(body, fg_body_text(x->body), &chat, &x->error);
    if (rc == 0)
        rc = fg_body_charge(x->body, fg_body_texts(&chat.job), &x->error);
    fg_body_drop(x->body);
    chat.job.tenant = x->tenant;
    request.chat = &chat.job;
    if (rc == 0)
        rc = encode(x, &request);
    fg_api_request_finish(&chat);
    return rc;
}

static int tokenize(struct tokens *x, const json_t *body)
{
    const json_t *content = fg_json_field(body, "content");
    const json_t *prompt = fg_json_field(body, "prompt"), *text = prompt ? prompt : content;
    const json_t *messages = fg_json_field(body, "messages");
    const char *name = prompt ? "prompt" : "content";
    struct fg_tokenize_request request = {.parse_special = true, .add_special = prompt != NULL};
    char found[64];
    int rc;

    if ((prompt != NULL) + (content != NULL) + (messages != NULL) > 1)
        return fg_http_fail(&x->error, 400, messages ? "messages" : "content", NULL,
                            "%s: found beside another text; it must be one of prompt, content and "
                            "messages",
                            messages ? "messages" : "content");
    if ((rc = fg_json_bool(body, "add_special", &request.add_special, &x->error)) ||
        (rc = fg_json_bool(body, "add_special_tokens", &request.add_special, &x->error)) ||
        (rc = fg_json_bool(body, "parse_special", &request.parse_special, &x->error)))
        return rc;
    if (messages)
        return tokenize_chat(x, body, &request);
    if (!json_is_string(text))
        return fg_http_fail(&x->error, 400, name, NULL, "%s: found %s, it must be a string", name,
                            text ? fg_json_found(text, found) : "nothing");
    fg_body_drop(x->body);
    request.text = json_string_value(text);
    request.bytes = json_string_length(text);
    return encode(x, &request);
}

static int detokenize(struct tokens *x, const json_t *body)
{
    const struct fg_backend *b = &x->service->backend;
    const json_t *tokens = fg_json_field(body, "tokens");
    struct fg_err err = {0};
    int32_t *ids = NULL;
    char *text = NULL, found[64];
    size_t n = 0, bytes = 0;
    json_t *root, *said;
    int rc;

    fg_body_drop(x->body);
    if (!json_is_array(tokens))
        return fg_http_fail(&x->error, 400, "tokens", NULL,
                            "tokens: found %s, it must be an array of token ids",
                            tokens ? fg_json_found(tokens, found) : "nothing");
    if (json_array_size(tokens) > MAX_IDS)
        return fg_http_fail(&x->error, 400, "tokens", NULL,
                            "tokens: found %zu ids, at most %d are taken", json_array_size(tokens),
                            MAX_IDS);
    rc = fg_api_request_tokens(tokens, "tokens", &x->service->info, &ids, &n, &x->error);
    if (rc)
        return rc;
    rc = b->detokenize(b->ctx, ids, n, &text, &bytes, &err);
    free(ids);
    if (rc) {
        fg_http_error_from(&x->error, &err, false);
        return rc;
    }
    said = fg_json_stringn(text, bytes);
    free(text);
    root = json_pack("{s:O, s:O}", "content", said, "prompt", said);
    json_decref(said);
    x->answer = fg_json_dump(root);
    json_decref(root);
    return x->answer ? 0 : fg_json_nomem(&x->error);
}

/* On a worker. */
static void run(struct fg_work *work)
{
    struct tokens *x = (struct tokens *)work;
    json_t *body;

    x->rc = fg_body_parse(x->body, &body, &x->error);
    if (x->rc == 0)
        x->rc = fg_api_request_model(body, &x->service->info, &x->error);
    if (x->rc == 0)
        x->rc = x->to_text ? detokenize(x, body) : tokenize(x, body);
    json_decref(body);
    fg_body_free(x->body);
    x->body = NULL;
}

static void on_done(struct fg_work *work)
{
    struct tokens *x = (struct tokens *)work;

    if (x->request.ev && x->rc == 0) {
        fg_reply_text(&x->request, 200, x->answer);
        x->answer = NULL;
    } else if (x->request.ev) {
        fg_reply_error(&x->request, &x->error);
    }
    fg_body_free(x->body);
    free(x->answer);
    free(x);
}

/* The client has left. What runs cannot be stopped, and its answer goes nowhere. */
static void on_lost(void *arg)
{
    (void)arg;
}

void fg_tokens_start(struct fg_service *s, struct fg_request *r, const struct fg_tenant *tenant,
                     bool to_text)
{
    size_t bytes = fg_request_body_bytes(r);
    struct tokens *x = calloc(1, sizeof *x);
    struct fg_http_error e;

    if (x)
        x->body = fg_request_take_body(r);
    if (!x || !x->body) {
        free(x);
        fg_json_nomem(&e);
        fg_reply_error(r, &e);
        return;
    }
    x->service = s;
    x->tenant = *tenant;
    x->to_text = to_text;
    x->rc = fg_http_fail(&x->error, 503, NULL, "draining", "the daemon is shutting down");
    x->work.run = run;
    x->work.done = on_done;
    fg_request_keep(&x->request, r, on_lost, x);
    fg_workers_post(s->workers, &x->work,
                    bytes > FG_WORK_LARGE   ? FG_WORK_HUGE
                    : bytes > FG_WORK_SMALL ? FG_WORK_SLOW
                                            : FG_WORK_QUICK);
}
