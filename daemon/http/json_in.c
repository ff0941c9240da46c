#include "json_in.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "json_fit.h"
#include "lossy.h"

int fg_json_nomem(struct fg_http_error *e)
{
    return fg_http_fail(e, 500, NULL, NULL, "out of memory");
}

/* jansson spends some hundred bytes on each `[` or `{` of the body. */
static int check_cost(const char *body, size_t n, struct fg_http_error *e)
{
    size_t containers = 0, values = 0, members = 0;
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        char c = body[i];

        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            containers++;
        } else if (c == ',') {
            values++;
        } else if (c == ':') {
            members++;
        }
    }
    if (containers > FG_JSON_MAX_CONTAINERS)
        return fg_http_fail(e, 400, NULL, NULL,
                            "the body holds %zu arrays and objects, at most %d are read",
                            containers, FG_JSON_MAX_CONTAINERS);
    if (values > FG_JSON_MAX_VALUES)
        return fg_http_fail(e, 400, NULL, NULL,
                            "the body holds more than %zu values, at most %d are read", values,
                            FG_JSON_MAX_VALUES);
    if (members > FG_JSON_MAX_MEMBERS)
        return fg_http_fail(e, 400, NULL, NULL,
                            "the body holds %zu members of objects, at most %d are read", members,
                            FG_JSON_MAX_MEMBERS);
    return 0;
}

int fg_json_parse(const char *body, size_t n, json_t **out, struct fg_http_error *e)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t je;
    json_t *root;
    char found[64];
    int r;

    if (!n)
        return fg_http_fail(e, 400, NULL, NULL, "the body is empty, it must be a JSON object");
    r = check_cost(body, n, e);
    if (r)
        return r;
    root = json_loadb(body, n, flags, &je);
    if (!root && (json_error_code(&je) == json_error_numeric_overflow ||
                  json_error_code(&je) == json_error_null_byte_in_key)) {
        struct fg_buffer fit = {0};

        fg_json_fit(body, n, &fit);
        if (!fit.failed)
            root = json_loadb(fit.p, fit.n, flags, &je);
        r = fit.failed ? fg_json_nomem(e) : 0;
        fg_buffer_finish(&fit);
        if (r)
            return r;
    }
    if (!root) {
        if (json_error_code(&je) == json_error_out_of_memory)
            return fg_json_nomem(e);
        return fg_http_fail(e, 400, NULL, NULL, "the body is not JSON: line %d, column %d: %s",
                            je.line, je.column, je.text);
    }
    if (!json_is_object(root)) {
        fg_json_found(root, found);
        json_decref(root);
        return fg_http_fail(e, 400, NULL, NULL, "the body is %s, it must be a JSON object", found);
    }
    *out = root;
    return 0;
}

json_t *fg_json_field(const json_t *object, const char *name)
{
    json_t *v = json_object_get(object, name);

    return json_is_null(v) ? NULL : v;
}

const char *fg_json_found(const json_t *v, char buf[64])
{
    size_t cut = 0, len;

    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT: return strcpy(buf, "an object");
    case JSON_ARRAY: return strcpy(buf, "an array");
    case JSON_INTEGER:
        snprintf(buf, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return buf;
    case JSON_REAL: snprintf(buf, 64, "%.9g", json_real_value(v)); return buf;
    case JSON_TRUE: return strcpy(buf, "true");
    case JSON_FALSE: return strcpy(buf, "false");
    case JSON_NULL: return strcpy(buf, "null");
    case JSON_STRING: break;
    }
    /* Cut where a character ends. */
    while (cut < json_string_length(v) && cut < 24) {
        len = fg_utf8_length(json_string_value(v) + cut, json_string_length(v) - cut);
        cut += len ? len : 1;
    }
    snprintf(buf, 64, "the string \"%.*s%s\"", (int)cut, json_string_value(v),
             cut < json_string_length(v) ? "..." : "");
    return buf;
}

int fg_json_bool(const json_t *object, const char *name, bool *out, struct fg_http_error *e)
{
    const json_t *v = fg_json_field(object, name);
    char found[64];

    if (!v)
        return 0;
    if (!json_is_boolean(v))
        return fg_http_fail(e, 400, name, NULL, "%s: found %s, it must be true or false", name,
                            fg_json_found(v, found));
    *out = json_is_true(v);
    return 0;
}

bool fg_json_integral(const json_t *v, int64_t *out)
{
    double real = json_real_value(v);

    if (json_is_integer(v))
        *out = json_integer_value(v);
    else if (json_is_real(v) && trunc(real) == real && fabs(real) < 0x1p63)
        *out = (int64_t)real;
    else
        return false;
    return true;
}

int fg_json_int(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *out,
                struct fg_http_error *e)
{
    const json_t *v = fg_json_field(object, name);
    char found[64];
    int64_t given;

    if (!v)
        return 0;
    if (!fg_json_integral(v, &given) || given < min || given > max)
        return fg_http_fail(e, 400, name, NULL,
                            "%s: found %s, it must be an integer from %lld to %lld", name,
                            fg_json_found(v, found), (long long)min, (long long)max);
    *out = given;
    return 0;
}

int fg_json_number(const json_t *object, const char *name, double min, double max, double *out,
                   struct fg_http_error *e)
{
    const json_t *v = fg_json_field(object, name);
    char found[64];

    if (!v)
        return 0;
    if (!json_is_number(v) || !(json_number_value(v) >= min) || !(json_number_value(v) <= max))
        return fg_http_fail(e, 400, name, NULL, "%s: found %s, it must be a number from %g to %g",
                            name, fg_json_found(v, found), min, max);
    *out = json_number_value(v);
    return 0;
}

int fg_json_copy(const json_t *string, char **out, size_t *bytes, struct fg_http_error *e)
{
    size_t n = json_string_length(string);
    char *copy = malloc(n + 1);

    if (!copy)
        return fg_json_nomem(e);
    memcpy(copy, json_string_value(string), n);
    copy[n] = '\0';
    *out = copy;
    if (bytes)
        *bytes = n;
    return 0;
}

int fg_json_text(const json_t *object, const char *name, const char *path, char **out,
                 struct fg_http_error *e)
{
    const json_t *v = fg_json_field(object, name);
    char found[64];

    if (!v)
        return 0;
    if (!json_is_string(v))
        return fg_http_fail(e, 400, path, NULL, "%s: found %s, it must be a string", path,
                            fg_json_found(v, found));
    if (memchr(json_string_value(v), '\0', json_string_length(v)))
        return fg_http_fail(e, 400, path, NULL, "%s: holds a NUL byte, it must be text without one",
                            path);
    return fg_json_copy(v, out, NULL, e);
}
