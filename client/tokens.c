#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "json.h"

/* Copies the ids out of root.tokens. */
static int read_ids(const json_t *root, struct fg_client_tokens *tokens, struct fg_err *err)
{
    struct fg_client_json j = {root, "answer", err};
    const json_t *list;
    int rc = fg_client_json_array(&j, "tokens", &list);

    if (rc <= 0) {
        return rc < 0 ? rc : fg_client_json_missing(&j, "tokens", "an array of ids");
    }
    size_t count = json_array_size(list);
    int32_t *out = calloc(count ? count : 1, sizeof *out);
    if (!out) {
        return fg_fail(err, FG_ENOMEM, "tokenize: out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *v = json_array_get(list, i);
        json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id > INT32_MAX) {
            free(out);
            return fg_fail(err, FG_EFORMAT, "the daemon's answer: tokens[%zu] should be an id", i);
        }
        out[i] = (int32_t)id;
    }
    *tokens = (struct fg_client_tokens){out, count};
    return 0;
}

int fg_client_tokenize(struct fg_client *client, const char *text, size_t bytes, unsigned flags,
                       struct fg_client_tokens *out, struct fg_err *err)
{
    size_t span = fg_client_utf8_span(text, bytes);
    json_t *root;

    *out = (struct fg_client_tokens){0};
    if (span != bytes) {
        return fg_fail(err, FG_EINVAL, "tokenize: the text is not UTF-8 at byte %zu", span);
    }
    json_t *request = json_object();
    int bad =
        json_object_set_new(request, "content", json_stringn_nocheck(text ? text : "", bytes));
    bad |=
        json_object_set_new(request, "add_special", json_boolean(flags & FG_TOKENIZE_ADD_SPECIAL));
    bad |=
        json_object_set_new(request, "parse_special", json_boolean(!(flags & FG_TOKENIZE_PLAIN)));
    char *body = bad ? NULL : json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!body) {
        return fg_fail(err, FG_ENOMEM, "tokenize: out of memory");
    }
    int rc = fg_client_call(client, "/tokenize", body, &root, err);
    if (rc == 0) {
        rc = read_ids(root, out, err);
        json_decref(root);
    }
    return rc;
}

static char *ids_body(const int32_t *ids, size_t n)
{
    json_t *list = json_array();
    int bad = 0;

    for (size_t i = 0; i < n; i++) {
        bad |= json_array_append_new(list, json_integer(ids[i]));
    }
    json_t *request = json_object();
    bad |= json_object_set_new(request, "tokens", list); /* takes the list over, also on failure */
    char *body = bad ? NULL : json_dumps(request, JSON_COMPACT);
    json_decref(request);
    return body;
}

int fg_client_detokenize(struct fg_client *client, const int32_t *ids, size_t n, char **text,
                         size_t *bytes, struct fg_err *err)
{
    json_t *root;
    const char *s;
    size_t count;

    *text = NULL;
    *bytes = 0;
    char *body = ids_body(ids, n);
    if (!body) {
        return fg_fail(err, FG_ENOMEM, "detokenize: out of memory");
    }
    int rc = fg_client_call(client, "/detokenize", body, &root, err);
    if (rc < 0) {
        return rc;
    }
    struct fg_client_json j = {root, "answer", err};
    rc = fg_client_json_string(&j, "content", &s, &count);
    if (rc == 0) {
        rc = fg_client_json_missing(&j, "content", "a string");
    } else if (rc > 0) {
        struct fg_buffer b = {0};
        rc = fg_buffer_add_within(&b, s, count, count);
        if (rc < 0) {
            fg_fail(err, rc, "detokenize: out of memory");
        }
        *text = b.p;
        *bytes = b.n;
    }
    json_decref(root);
    return rc;
}
