/* Trace files: one JSON object a line (docs/cache-policy.md). */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

struct reader {
    struct trace *trace;
    const char *name;
    unsigned long line;
    struct trace_segment *prompt; /* room for TRACE_MAX_SEGMENTS */
    struct fg_err *err;
};

static const char *const roles[] = {"system", "user", "assistant", "tool"};

__attribute__((format(printf, 3, 4))) static int bad(struct reader *r, const char *field,
                                                     const char *fmt, ...)
{
    char why[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return fg_fail(r->err, FG_EINVAL, "%.200s:%lu: %s: %s", r->name, r->line, field, why);
}

/* FNV-1a. */
static uint64_t hash(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
    return h;
}

static int read_role(struct reader *r, const char *field, json_t *v, enum trace_role *role)
{
    const char *s = json_string_value(v);

    for (unsigned i = 0; s && i < sizeof roles / sizeof *roles; i++) {
        if (strcmp(s, roles[i]) == 0) {
            *role = (enum trace_role)i;
            return 0;
        }
    }
    return bad(r, field, "the role is not system, user, assistant or tool");
}

/* [id, tokens] or [id, tokens, role]. */
static int read_segment(struct reader *r, const char *field, json_t *v, enum trace_role role,
                        struct trace_segment *s)
{
    size_t n = json_array_size(v); /* 0 when it is none */
    json_t *id = json_array_get(v, 0), *tokens = json_array_get(v, 1);
    json_int_t count;

    if (n < 2 || n > 3)
        return bad(r, field, "not [id, tokens] or [id, tokens, role]");
    if (json_is_string(id))
        s->id = hash(json_string_value(id), json_string_length(id));
    else if (json_is_integer(id))
        s->id = (uint64_t)json_integer_value(id) * 2 + 1;
    else
        return bad(r, field, "the id is neither text nor an integer");
    count = json_is_integer(tokens) ? json_integer_value(tokens) : 0;
    if (count < 1 || count > TRACE_MAX_TOKENS)
        return bad(r, field, "the tokens are not a number from 1 to %d", TRACE_MAX_TOKENS);
    s->tokens = (uint32_t)count;
    s->role = role;
    return n == 3 ? read_role(r, field, json_array_get(v, 2), &s->role) : 0;
}

static int read_request(struct reader *r, json_t *line)
{
    json_t *prompt = json_object_get(line, "prompt"), *answer = json_object_get(line, "answer");
    struct trace_segment said = {.role = ROLE_ASSISTANT};
    size_t n = json_array_size(prompt);
    struct fg_err err = {0};
    const char *key;
    json_t *v;
    int rc = 0;

    json_object_foreach(
        line, key, v) if (strcmp(key, "prompt") != 0 &&
                          strcmp(key, "answer") !=
                              0) return bad(r, key, "unknown field; prompt and answer are known");
    if (!json_is_array(prompt) || n == 0 || n > TRACE_MAX_SEGMENTS)
        return bad(r, "prompt", "not an array of 1 to %d segments", TRACE_MAX_SEGMENTS);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        char field[40];

        snprintf(field, sizeof field, "prompt[%zu]", i);
        rc = read_segment(r, field, json_array_get(prompt, i), ROLE_USER, &r->prompt[i]);
    }
    if (rc == 0 && answer && !json_is_null(answer))
        rc = read_segment(r, "answer", answer, ROLE_ASSISTANT, &said);
    if (rc)
        return rc;
    rc = trace_add(r->trace, r->prompt, n, said, &err);
    if (rc == FG_EINVAL)
        return bad(r, "prompt", "%s", err.text);
    return rc ? fg_fail(r->err, rc, "%s", err.text) : 0;
}

static int read_line(struct reader *r, const char *text, size_t n)
{
    json_error_t why;
    json_t *line;
    int rc;

    if (strspn(text, " \t\r\n") == n)
        return 0;
    line = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!line)
        return bad(r, "line", "column %d: %.150s", why.column, why.text);
    rc = json_is_object(line) ? read_request(r, line) : bad(r, "line", "not an object");
    json_decref(line);
    return rc;
}

int trace_read(struct trace *t, FILE *f, const char *name, struct fg_err *err)
{
    struct reader r = {.trace = t, .name = name, .err = err};
    const char *base = strrchr(name, '/');
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;

    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", base ? base + 1 : name);
    r.prompt = malloc(TRACE_MAX_SEGMENTS * sizeof *r.prompt);
    if (!r.prompt)
        return fg_fail(err, FG_ENOMEM, "no memory for the trace");
    while (rc == 0 && (errno = 0, n = getline(&text, &cap, f)) >= 0) {
        r.line++;
        rc = read_line(&r, text, (size_t)n);
    }
    if (rc == 0 && ferror(f))
        rc = fg_fail(err, FG_EIO, "%.200s: %s", name, strerror(errno));
    if (rc == 0 && t->n == 0)
        rc = fg_fail(err, FG_EINVAL, "%.200s:%lu: line: no requests", name, r.line);
    free(text);
    free(r.prompt);
    if (rc)
        trace_finish(t);
    return rc;
}
