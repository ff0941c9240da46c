#include "json.h"

#include <string.h>

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

static int wrong(const struct fg_client_json *j, const char *key, const json_t *v,
                 const char *wanted)
{
    return fg_fail(j->err, FG_EFORMAT, "the daemon's answer: %s.%s is %s, should be %s", j->name,
                   key, type_name(v), wanted);
}

int fg_client_json_missing(const struct fg_client_json *j, const char *key, const char *wanted)
{
    return fg_fail(j->err, FG_EFORMAT, "the daemon's answer: %s.%s is missing, should be %s",
                   j->name, key, wanted);
}

int fg_client_json_parse(const char *text, size_t bytes, const char *name, json_t **out,
                         struct fg_err *err)
{
    json_error_t je;
    /* A model may write U+0000: text is handled by length, so it is let through. */
    json_t *root = json_loadb(text, bytes, JSON_ALLOW_NUL, &je);

    *out = NULL;
    if (!root) {
        if (json_error_code(&je) == json_error_out_of_memory) {
            return fg_fail(err, FG_ENOMEM, "%s: out of memory", name);
        }
        return fg_fail(err, FG_EFORMAT,
                       "the daemon's answer: %s is not JSON (line %d column %d: %s)", name, je.line,
                       je.column, je.text);
    }
    if (!json_is_object(root)) {
        fg_fail(err, FG_EFORMAT, "the daemon's answer: %s is %s, should be an object", name,
                type_name(root));
        json_decref(root);
        return FG_EFORMAT;
    }
    *out = root;
    return 0;
}

/* The field, or NULL where it is missing or null. */
static const json_t *field(const struct fg_client_json *j, const char *key)
{
    const json_t *v = json_object_get(j->object, key);
    return v && !json_is_null(v) ? v : NULL;
}

int fg_client_json_string(const struct fg_client_json *j, const char *key, const char **out,
                          size_t *bytes)
{
    const json_t *v = field(j, key);
    if (!v) {
        return 0;
    }
    if (!json_is_string(v)) {
        return wrong(j, key, v, "a string");
    }
    *out = json_string_value(v);
    *bytes = json_string_length(v);
    return 1;
}

int fg_client_json_count(const struct fg_client_json *j, const char *key, uint64_t *out)
{
    const json_t *v = field(j, key);
    if (!v) {
        return 0;
    }
    if (!json_is_integer(v)) {
        return wrong(j, key, v, "a count");
    }
    if (json_integer_value(v) < 0) {
        return fg_fail(j->err, FG_EFORMAT,
                       "the daemon's answer: %s.%s is %lld, should be 0 or more", j->name, key,
                       (long long)json_integer_value(v));
    }
    *out = (uint64_t)json_integer_value(v);
    return 1;
}

int fg_client_json_number(const struct fg_client_json *j, const char *key, double *out)
{
    const json_t *v = field(j, key);
    if (!v) {
        return 0;
    }
    if (!json_is_number(v)) {
        return wrong(j, key, v, "a number");
    }
    *out = json_number_value(v);
    return 1;
}

int fg_client_json_object(const struct fg_client_json *j, const char *key, const json_t **out)
{
    const json_t *v = field(j, key);
    if (!v) {
        return 0;
    }
    if (!json_is_object(v)) {
        return wrong(j, key, v, "an object");
    }
    *out = v;
    return 1;
}

int fg_client_json_array(const struct fg_client_json *j, const char *key, const json_t **out)
{
    const json_t *v = field(j, key);
    if (!v) {
        return 0;
    }
    if (!json_is_array(v)) {
        return wrong(j, key, v, "an array");
    }
    *out = v;
    return 1;
}

int fg_client_json_copy(const struct fg_client_json *j, const char *key, char **out)
{
    const char *s = "";
    size_t n = 0;
    int rc = fg_client_json_string(j, key, &s, &n);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    *out = strdup(s);
    return *out ? 0 : fg_fail(j->err, FG_ENOMEM, "%s.%s: out of memory", j->name, key);
}
