#include "logprobs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int malformed(struct fg_err *err, const char *what)
{
    return fg_fail(err, FG_EFORMAT, "the daemon's answer: choices[0].logprobs: %s", what);
}

static int read_one(const json_t *text, const json_t *logprob, struct fg_client_logprob *out,
                    struct fg_err *err)
{
    if (!json_is_string(text) || !(json_is_number(logprob) || json_is_null(logprob))) {
        return malformed(err, "a token should be a string with a number");
    }
    out->text = json_string_value(text);
    out->bytes = json_string_length(text);
    out->logprob = json_is_null(logprob) ? NAN : json_number_value(logprob);
    return 0;
}

/* Room for n tokens with `tops` alternatives in all; both come from arrays that are in memory. */
static int make_room(struct fg_client_logprobs *out, size_t n, size_t tops, struct fg_err *err)
{
    out->tokens = calloc(n ? n : 1, sizeof *out->tokens);
    out->pool = calloc(tops ? tops : 1, sizeof *out->pool);
    return out->tokens && out->pool ? 0 : fg_fail(err, FG_ENOMEM, "logprobs: out of memory");
}

static int by_logprob(const void *a, const void *b)
{
    double x = ((const struct fg_client_logprob *)a)->logprob;
    double y = ((const struct fg_client_logprob *)b)->logprob;

    if (isnan(x) || isnan(y)) {
        return !!isnan(x) - !!isnan(y); /* unknown ones last */
    }
    return (x < y) - (x > y);
}

/* An object {token: logprob} has no order: the best goes first. */
static int read_legacy_top(const json_t *top, struct fg_client_logprob *pool, size_t *n,
                           struct fg_err *err)
{
    const char *key;
    json_t *value;

    *n = 0;
    json_object_foreach((json_t *)top, key, value)
    {
        if (!json_is_number(value) && !json_is_null(value)) {
            return malformed(err, "top_logprobs should map tokens to numbers");
        }
        pool[*n].text = key;
        pool[*n].bytes = strlen(key); /* jansson takes no NUL in a key */
        pool[*n].logprob = json_is_null(value) ? NAN : json_number_value(value);
        ++*n;
    }
    qsort(pool, *n, sizeof *pool, by_logprob);
    return 0;
}

static int read_legacy(const json_t *logprobs, struct fg_client_logprobs *out, struct fg_err *err)
{
    const json_t *texts = json_object_get(logprobs, "tokens");
    const json_t *values = json_object_get(logprobs, "token_logprobs");
    const json_t *tops = json_object_get(logprobs, "top_logprobs");
    size_t n = json_array_size(texts), total = 0;

    if (!json_is_array(texts) || !json_is_array(values) || json_array_size(values) != n) {
        return malformed(err, "tokens and token_logprobs should be arrays of one length");
    }
    if (tops && !json_is_null(tops) && (!json_is_array(tops) || json_array_size(tops) != n)) {
        return malformed(err, "top_logprobs should be an array as long as tokens");
    }
    for (size_t i = 0; i < json_array_size(tops); i++) {
        total += json_object_size(json_array_get(tops, i)); /* 0 for what is no object */
    }
    int rc = make_room(out, n, total, err);
    struct fg_client_logprob *pool = out->pool;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct fg_client_token *t = &out->tokens[i];
        rc = read_one(json_array_get(texts, i), json_array_get(values, i), &t->chosen, err);
        const json_t *top = json_array_get(tops, i);
        if (rc == 0 && json_is_object(top)) {
            rc = read_legacy_top(top, pool, &t->n_top, err);
            t->top = pool;
            pool += t->n_top;
        }
    }
    out->n = n;
    return rc;
}

static int read_chat_top(const json_t *top, struct fg_client_logprob *pool, size_t *n,
                         struct fg_err *err)
{
    int rc = 0;
    for (*n = 0; rc == 0 && *n < json_array_size(top); ++*n) {
        const json_t *one = json_array_get(top, *n);
        rc = read_one(json_object_get(one, "token"), json_object_get(one, "logprob"), &pool[*n],
                      err);
    }
    return rc;
}

static int read_chat(const json_t *content, struct fg_client_logprobs *out, struct fg_err *err)
{
    size_t n = json_array_size(content), total = 0;

    for (size_t i = 0; i < n; i++) {
        total += json_array_size(json_object_get(json_array_get(content, i), "top_logprobs"));
    }
    int rc = make_room(out, n, total, err);
    struct fg_client_logprob *pool = out->pool;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const json_t *item = json_array_get(content, i);
        struct fg_client_token *t = &out->tokens[i];
        rc = read_one(json_object_get(item, "token"), json_object_get(item, "logprob"), &t->chosen,
                      err);
        if (rc == 0) {
            rc = read_chat_top(json_object_get(item, "top_logprobs"), pool, &t->n_top, err);
            t->top = pool;
            pool += t->n_top;
        }
    }
    out->n = n;
    return rc;
}

int fg_client_logprobs_read(const json_t *logprobs, struct fg_client_logprobs *out,
                            struct fg_err *err)
{
    const json_t *content = json_object_get(logprobs, "content");

    memset(out, 0, sizeof *out);
    if (json_is_array(content)) {
        return read_chat(content, out, err);
    }
    if (content && !json_is_null(content)) {
        return malformed(err, "content should be an array");
    }
    if (!json_object_get(logprobs, "tokens")) {
        return 0;
    }
    return read_legacy(logprobs, out, err);
}

void fg_client_logprobs_finish(struct fg_client_logprobs *l)
{
    free(l->tokens);
    free(l->pool);
    memset(l, 0, sizeof *l);
}
