#include "sse.h"

#include <stdlib.h>
#include <string.h>

void fg_client_sse_init(struct fg_client_sse *s, fg_client_sse_event *event, void *ctx)
{
    memset(s, 0, sizeof *s);
    s->event = event;
    s->ctx = ctx;
}

void fg_client_sse_finish(struct fg_client_sse *s)
{
    free(s->line.p);
    free(s->data.p);
    memset(s, 0, sizeof *s);
}

static int add(struct fg_buffer *b, const char *p, size_t n, const char *what, struct fg_err *err)
{
    int rc = fg_buffer_add_within(b, p, n, FG_CLIENT_SSE_MAX);
    if (rc == FG_EFULL) {
        return fg_fail(err, FG_EFORMAT, "event stream: %s of more than %zu bytes", what,
                       FG_CLIENT_SSE_MAX);
    }
    if (rc < 0) {
        return fg_fail(err, rc, "event stream: out of memory");
    }
    return 0;
}

static int end_event(struct fg_client_sse *s)
{
    if (!s->has_data) {
        return 0;
    }
    int rc = s->event(s->ctx, s->data.p, s->data.n);
    s->data.n = 0;
    s->has_data = false;
    return rc;
}

static int end_line(struct fg_client_sse *s, struct fg_err *err)
{
    const char *p = s->line.p;
    size_t n = s->line.n;

    s->line.n = 0;
    if (s->lines++ == 0 && n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        p += 3;
        n -= 3;
    }
    if (n == 0) {
        return end_event(s);
    }
    const char *colon = memchr(p, ':', n);
    size_t name = colon ? (size_t)(colon - p) : n;
    if (name != 4 || memcmp(p, "data", 4) != 0) {
        return 0;
    }
    size_t from = colon ? name + 1 : n;
    if (from < n && p[from] == ' ') {
        from++;
    }
    if (s->has_data) {
        int rc = add(&s->data, "\n", 1, "an event", err);
        if (rc < 0) {
            return rc;
        }
    }
    s->has_data = true;
    return add(&s->data, p + from, n - from, "an event", err);
}

/* The first line end in p[0..n), or NULL: "\n", "\r" and "\r\n" all end a line. */
static const char *line_end(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' || p[i] == '\r') {
            return p + i;
        }
    }
    return NULL;
}

int fg_client_sse_feed(struct fg_client_sse *s, const char *bytes, size_t n, struct fg_err *err)
{
    const char *p = bytes, *stop = bytes + n;

    while (p < stop) {
        if (s->after_cr && *p == '\n') {
            s->after_cr = false;
            p++;
            continue;
        }
        s->after_cr = false;
        const char *end = line_end(p, (size_t)(stop - p));
        int rc = add(&s->line, p, (size_t)((end ? end : stop) - p), "a line", err);
        if (rc < 0) {
            return rc;
        }
        if (!end) {
            break;
        }
        s->after_cr = *end == '\r';
        p = end + 1;
        rc = end_line(s, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
