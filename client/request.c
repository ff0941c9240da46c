#include "request.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

void fg_client_request_init(struct fg_client_request *request)
{
    *request = (struct fg_client_request){
        .max_tokens = -1,
        .temperature = -1,
        .top_k = -1,
        .top_p = -1,
        .min_p = -1,
        .seed = -1,
        .logprobs = -1,
    };
}

static int check_prompt(const struct fg_client_request *r, struct fg_err *err)
{
    if (!!r->prompt + !!r->tokens + !!r->messages != 1) {
        return fg_fail(err, FG_EINVAL,
                       "request: should have exactly one of prompt, tokens and messages");
    }
    if (r->tokens && r->n_tokens == 0) {
        return fg_fail(err, FG_EINVAL, "request: tokens is empty");
    }
    if (r->messages && r->n_messages == 0) {
        return fg_fail(err, FG_EINVAL, "request: messages is empty");
    }
    return 0;
}

static int check_number(const char *name, double value, double low, double high, struct fg_err *err)
{
    if (isnan(value) || value > high || (value >= 0 && value < low)) {
        return fg_fail(err, FG_EINVAL, "request: %s is %g, should be %g to %g", name, value, low,
                       high);
    }
    return 0;
}

static int check_options(const struct fg_client_request *r, struct fg_err *err)
{
    int rc = check_number("temperature", r->temperature, 0, 1e6, err);
    rc = rc < 0 ? rc : check_number("top_p", r->top_p, 0, 1, err);
    rc = rc < 0 ? rc : check_number("min_p", r->min_p, 0, 1, err);
    rc = rc < 0 ? rc : check_number("logprobs", r->logprobs, 0, 20, err);
    rc = rc < 0 ? rc : check_number("the number of stop strings", (double)r->n_stop, 0, 16, err);
    return rc;
}

/* The values below are NULL on failure; err, preset to FG_ENOMEM, then names what else was wrong.
 */

/* A JSON string of text[0..n). */
static json_t *text_value(const char *name, const char *text, size_t n, struct fg_err *err)
{
    size_t span = fg_client_utf8_span(text, n);
    if (span != n) {
        fg_fail(err, FG_EINVAL, "request: %s is not UTF-8 at byte %zu", name, span);
        return NULL;
    }
    json_t *v = json_stringn_nocheck(text ? text : "", n);
    return v;
}

static json_t *tokens_value(const struct fg_client_request *r, struct fg_err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n_tokens; i++) {
        if (r->tokens[i] < 0) {
            fg_fail(err, FG_EINVAL, "request: tokens[%zu] is %d, should be 0 or more", i,
                    (int)r->tokens[i]);
            json_decref(list);
            return NULL;
        }
        if (json_array_append_new(list, json_integer(r->tokens[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* The content, as two parts when it begins with a document. */
static json_t *content_value(const char *name, const struct fg_client_message *m,
                             struct fg_err *err)
{
    size_t head = m->document_bytes;

    if (head == 0 || head == m->content_bytes) {
        return text_value(name, m->content, m->content_bytes, err);
    }
    if (head > m->content_bytes) {
        fg_fail(err, FG_EINVAL, "request: %s: document_bytes is %zu, should be at most %zu", name,
                head, m->content_bytes);
        return NULL;
    }
    json_t *document = text_value(name, m->content, head, err);
    json_t *rest =
        document ? text_value(name, m->content + head, m->content_bytes - head, err) : NULL;
    if (!rest) {
        json_decref(document);
        return NULL;
    }
    return json_pack("[{s:s, s:o}, {s:s, s:o}]", "type", "text", "text", document, "type", "text",
                     "text", rest);
}

static json_t *message_value(const struct fg_client_message *m, size_t i, struct fg_err *err)
{
    char name[64];

    snprintf(name, sizeof name, "messages[%zu].role", i);
    if (!m->role || !*m->role) {
        fg_fail(err, FG_EINVAL, "request: %s is empty", name);
        return NULL;
    }
    json_t *role = text_value(name, m->role, strlen(m->role), err);
    if (!role) {
        return NULL;
    }
    snprintf(name, sizeof name, "messages[%zu].content", i);
    json_t *content = content_value(name, m, err);
    if (!content) {
        json_decref(role);
        return NULL;
    }
    return json_pack("{s:o, s:o}", "role", role, "content", content);
}

static json_t *messages_value(const struct fg_client_request *r, struct fg_err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n_messages; i++) {
        json_t *message = message_value(&r->messages[i], i, err);
        if (!message || json_array_append_new(list, message) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *stop_value(const struct fg_client_request *r, struct fg_err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n_stop; i++) {
        char name[32];
        snprintf(name, sizeof name, "stop[%zu]", i);
        if (!r->stop[i] || !*r->stop[i]) {
            fg_fail(err, FG_EINVAL, "request: %s is empty", name);
            json_decref(list);
            return NULL;
        }
        json_t *v = text_value(name, r->stop[i], strlen(r->stop[i]), err);
        if (!v || json_array_append_new(list, v) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* json_object_set_new() takes `value` over in every case; 0 or -1. */
static int put_number(json_t *root, const char *key, double value)
{
    return value < 0 ? 0 : json_object_set_new(root, key, json_real(value));
}

static int put_integer(json_t *root, const char *key, int64_t value)
{
    return value < 0 ? 0 : json_object_set_new(root, key, json_integer(value));
}

/* What only fulgur knows. */
static json_t *own_options(const struct fg_client_request *r, bool progress)
{
    json_t *own = json_object();

    if ((progress && json_object_set_new(own, "progress", json_true()) != 0) ||
        (r->no_store && json_object_set_new(own, "cache", json_string("read")) != 0)) {
        json_decref(own);
        return NULL;
    }
    return own;
}

static int put_options(json_t *root, const struct fg_client_request *r, bool progress)
{
    int bad = json_object_set_new(root, "stream", json_true());

    bad |= json_object_set_new(root, "stream_options", json_pack("{s:b}", "include_usage", 1));
    bad |= put_integer(root, "max_tokens", r->max_tokens);
    bad |= put_number(root, "temperature", r->temperature);
    bad |= put_integer(root, "top_k", r->top_k);
    bad |= put_number(root, "top_p", r->top_p);
    bad |= put_number(root, "min_p", r->min_p);
    bad |= put_integer(root, "seed", r->seed);
    if (r->logprobs >= 0 && r->messages) {
        bad |= json_object_set_new(root, "logprobs", json_true());
        bad |= put_integer(root, "top_logprobs", r->logprobs);
    } else {
        bad |= put_integer(root, "logprobs", r->logprobs);
    }
    if (r->no_cache) {
        bad |= json_object_set_new(root, "cache", json_false());
    }
    if (r->ignore_eos) {
        bad |= json_object_set_new(root, "ignore_eos", json_true());
    }
    if (progress || r->no_store) {
        bad |= json_object_set_new(root, "fulgur", own_options(r, progress));
    }
    return bad;
}

/* Puts `value` (taken over; NULL: err, not NULL, says why) under `key`. */
static int put(json_t *root, const char *key, json_t *value, struct fg_err *err)
{
    if (!value) {
        return err->code;
    }
    return json_object_set_new(root, key, value) == 0
               ? 0
               : fg_fail(err, FG_ENOMEM, "request: out of memory");
}

/* err: not NULL, and preset to FG_ENOMEM. */
static int fill(json_t *root, const struct fg_client_request *r, bool progress, struct fg_err *err)
{
    int rc;

    if (r->messages) {
        rc = put(root, "messages", messages_value(r, err), err);
    } else if (r->tokens) {
        rc = put(root, "prompt", tokens_value(r, err), err);
    } else {
        rc = put(root, "prompt", text_value("prompt", r->prompt, r->prompt_bytes, err), err);
    }
    if (rc == 0 && r->model) {
        rc = put(root, "model", text_value("model", r->model, strlen(r->model), err), err);
    }
    if (rc == 0 && r->n_stop > 0) {
        rc = put(root, "stop", stop_value(r, err), err);
    }
    if (rc == 0 && put_options(root, r, progress) != 0) {
        rc = fg_fail(err, FG_ENOMEM, "request: out of memory");
    }
    return rc;
}

int fg_client_request_write(const struct fg_client_request *r, bool progress, const char **path,
                            char **body, struct fg_err *err)
{
    struct fg_err own; /* put() reads the code there, also when the caller wants no text */
    int rc = check_prompt(r, err);

    *body = NULL;
    *path = r->messages ? "/v1/chat/completions" : "/v1/completions";
    rc = rc < 0 ? rc : check_options(r, err);
    if (rc < 0) {
        return rc;
    }
    fg_fail(&own, FG_ENOMEM, "request: out of memory"); /* what is left when nothing else is said */
    json_t *root = json_object();
    rc = root ? fill(root, r, progress, &own) : own.code;
    if (rc == 0) {
        *body = json_dumps(root, JSON_COMPACT);
        rc = *body ? 0 : own.code;
    }
    json_decref(root);
    if (rc < 0 && err) {
        *err = own;
    }
    return rc;
}
