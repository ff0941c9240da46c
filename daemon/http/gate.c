#include "gate.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "base/clock.h"
#include "json_out.h"
#include "limits.h"
#include "server.h"
#include "workers.h"

/* What is thrown away of a request that was refused, so that its client, which may send all before
 * it reads, finds the answer: the rest of its body, or of what has no known end this much. */
enum { LINGER_BYTES = 1 << 20 };

static void set_reader(struct fg_conn *c, bufferevent_data_cb read_cb)
{
    bufferevent_data_cb write_cb;
    bufferevent_event_cb event_cb;
    void *arg;

    bufferevent_getcb(c->bev, NULL, &write_cb, &event_cb, &arg);
    bufferevent_setcb(c->bev, read_cb, write_cb, event_cb, arg);
}

/* --- the last word --- */

static void discard(struct fg_conn *c)
{
    struct evbuffer *input = bufferevent_get_input(c->bev);
    size_t n = evbuffer_get_length(input);

    c->left -= n < c->left ? n : c->left;
    evbuffer_drain(input, n);
}

static bool flushed(const struct fg_conn *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev)) == 0;
}

static void on_discard(struct bufferevent *bev, void *arg)
{
    struct fg_conn *c = arg;

    (void)bev;
    discard(c);
    if (!c->left && flushed(c))
        fg_conn_close(c);
}

static void on_flushed(struct bufferevent *bev, void *arg)
{
    struct fg_conn *c = arg;

    if (c->left)
        shutdown(bufferevent_getfd(bev), SHUT_WR);
    else
        fg_conn_close(c);
}

static void on_gone(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    (void)what;
    fg_conn_close(arg);
}

void fg_gate_refuse(struct fg_conn *c, const struct fg_http_error *e)
{
    const bool later = e->status == 503 || e->status == 429;
    char *body = fg_conn_error(c, NULL, e);

    c->phase = FG_CONN_REFUSED;
    fg_hold_release(&c->hold);
    c->left = c->chunked || c->left < LINGER_BYTES ? LINGER_BYTES : c->left;
    if (c->chunked && e->status != 400)
        c->left = c->http->max_body;
    discard(c);
    bufferevent_setcb(c->bev, on_discard, on_flushed, on_gone, c);
    c->since = fg_clock_ms();
    evbuffer_add_printf(bufferevent_get_output(c->bev),
                        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                        "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n%s"
                        "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                        e->status, fg_http_reason(e->status), later ? "Retry-After: 1\r\n" : "",
                        body ? strlen(body) : 0, body ? body : "");
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    free(body);
}

/* --- the body --- */

static int too_large(const struct fg_conn *c, struct fg_http_error *e)
{
    return fg_http_fail(e, 413, NULL, NULL, "the body is larger than %zu bytes", c->http->max_body);
}

/* Room for n bytes more. */
static int reserve(struct fg_conn *c, size_t n, struct fg_http_error *e)
{
    int rc = fg_hold_more(&c->hold, c->http->budget, c->tenant, n);

    if (rc == FG_EBUSY)
        return fg_http_fail(e, 503, NULL, "bodies_full",
                            "there is no room for this body beside others that have not been read "
                            "yet; send it again");
    return rc ? fg_http_fail(e, 500, NULL, NULL, "out of memory") : 0;
}

/* The last n bytes of the input. */
static int follow_chunks(struct fg_conn *c, size_t n, struct fg_http_error *e)
{
    struct evbuffer *input = bufferevent_get_input(c->bev);
    struct evbuffer_iovec piece;
    struct evbuffer_ptr at;
    size_t used;

    evbuffer_ptr_set(input, &at, evbuffer_get_length(input) - n, EVBUFFER_PTR_SET);
    while (n && c->chunks.place != FG_CHUNK_END) {
        size_t take;

        if (evbuffer_peek(input, (ev_ssize_t)n, &at, &piece, 1) < 1)
            break;
        take = piece.iov_len < n ? piece.iov_len : n;
        if (fg_chunks_follow(&c->chunks, piece.iov_base, take, &used))
            return fg_http_fail(e, 400, NULL, NULL, "the body's chunks are malformed");
        n -= take;
        if (n)
            evbuffer_ptr_set(input, &at, take, EVBUFFER_PTR_ADD);
    }
    if (c->chunks.body > c->http->max_body)
        return too_large(c, e);
    if (c->chunks.place == FG_CHUNK_END)
        c->phase = FG_CONN_WHOLE;
    return c->chunks.body > c->hold.bytes ? reserve(c, (size_t)c->chunks.body - c->hold.bytes, e)
                                          : 0;
}

static int follow_body(struct fg_conn *c, size_t n, struct fg_http_error *e)
{
    if (c->chunked)
        return follow_chunks(c, n, e);
    c->left -= n < c->left ? n : c->left;
    if (!c->left)
        c->phase = FG_CONN_WHOLE;
    return 0;
}

/* --- the head --- */

/* False: out of memory. */
static bool copy_span(struct fg_span s, char **out)
{
    *out = s.p ? strndup(s.p, s.n) : NULL;
    return !s.p || *out;
}

/* Who sends it. Those who may not are told at once when they send much; else by the handler. */
static int admit(struct fg_conn *c, const struct fg_head *head, struct fg_http_error *e)
{
    struct fg_arrival a = {.tcp = c->door->tcp, .fd = bufferevent_getfd(c->bev)};
    char *authorization, *key, *origin;
    bool copied = copy_span(head->authorization, &authorization);
    int rc;

    copied = copy_span(head->key, &key) && copied;
    copied = copy_span(head->origin, &origin) && copied;
    a.authorization = authorization;
    a.api_key = key;
    a.origin = origin;
    rc = copied ? c->http->admit(c->http->ctx, &a, c->tenant, e)
                : fg_http_fail(e, 500, NULL, NULL, "out of memory");
    free(authorization);
    free(key);
    free(origin);
    c->known = c->known || rc == 0;
    c->late_ms = 0;
    if (rc && e->status == 401 && (head->authorization.p || head->key.p))
        c->late_ms = fg_limits_wrong_key(c);
    if (rc && (head->chunked || head->length > FG_WORK_SMALL))
        return rc;
    return 0;
}

static int check_head(struct fg_conn *c, const struct fg_head *head, struct fg_http_error *e)
{
    int rc;

    c->chunked = head->chunked;
    c->left = head->length;
    c->chunks = (struct fg_chunks){0};
    rc = admit(c, head, e);
    if (rc)
        return rc;
    if (head->length > c->http->max_body)
        return too_large(c, e);
    if ((head->length || head->chunked) && fg_limits_under_way(c) >= c->http->per_tenant)
        return fg_http_fail(e, 429, NULL, "too_many_requests",
                            "%u requests of this caller are under way, as many as may be",
                            c->http->per_tenant);
    c->window = fg_clock_ms();
    c->arrived = 0;
    c->phase = head->length || head->chunked ? FG_CONN_BODY : FG_CONN_WHOLE;
    return head->length ? reserve(c, (size_t)head->length, e) : 0;
}

/* Who guesses keys is told late that this one was wrong. FG_EINVAL: *e is to be told at once. */
static int hold(struct fg_conn *c, int rc, const struct fg_http_error *e)
{
    const struct timeval tv = {.tv_sec = (time_t)(c->late_ms / 1000),
                               .tv_usec = (suseconds_t)fmod(c->late_ms * 1000, 1e6)};

    if (rc) {
        c->refusal = malloc(sizeof *c->refusal);
        if (!c->refusal)
            return rc;
        *c->refusal = *e;
    }
    c->held = true;
    bufferevent_disable(c->bev, EV_READ);
    event_add(c->late, &tv);
    return 0;
}

void fg_gate_late(int fd, short what, void *arg)
{
    struct fg_conn *c = arg;
    struct fg_http_error *e = c->refusal;

    (void)fd;
    (void)what;
    c->held = false;
    c->late_ms = 0;
    c->refusal = NULL;
    bufferevent_enable(c->bev, EV_READ);
    if (e) {
        fg_gate_refuse(c, e);
    } else {
        set_reader(c, c->read_cb);
        bufferevent_trigger(c->bev, EV_READ, 0);
    }
    free(e);
}

/* 0: it is whole. FG_EBUSY: not yet. */
static int read_head(struct fg_conn *c, struct fg_head *head, struct fg_http_error *e)
{
    struct evbuffer *input = bufferevent_get_input(c->bev);
    size_t have = evbuffer_get_length(input), n = 0;
    int rc = FG_EBUSY;

    /* Most are short: only as much as is needed is made one piece. */
    for (size_t room = 1024; rc == FG_EBUSY && n < have && n < FG_MAX_HEADER_BYTES; room *= 4) {
        const char *bytes;

        n = have < room ? have : room;
        if (n <= c->seen)
            continue;
        bytes = (const char *)evbuffer_pullup(input, (ev_ssize_t)n);
        if (!bytes)
            return fg_http_fail(e, 500, NULL, NULL, "out of memory");
        rc = fg_head_read(bytes, n, c->seen, head, e);
        c->seen = n;
    }
    return rc;
}

static int head_input(struct fg_conn *c, struct fg_http_error *e)
{
    struct fg_head head = {0};
    int rc = read_head(c, &head, e);

    set_reader(c, NULL);
    if (rc != FG_EBUSY)
        snprintf(c->target, sizeof c->target, "%.*s",
                 (int)(head.target.n < sizeof c->target ? head.target.n : sizeof c->target - 1),
                 head.target.p ? head.target.p : "");
    if (rc)
        return rc;
    c->seen = 0;
    rc = check_head(c, &head, e);
    if (rc == 0 && c->phase == FG_CONN_BODY)
        rc = follow_body(c, evbuffer_get_length(bufferevent_get_input(c->bev)) - head.bytes, e);
    if (c->late_ms > 0)
        return hold(c, rc, e);
    if (rc == 0)
        set_reader(c, c->read_cb);
    return rc;
}

void fg_gate_input(struct fg_conn *c, size_t n)
{
    struct fg_http_error e;
    int rc = 0;

    /* A kept connection's clock begins with what comes, a new one's with itself. */
    if (c->phase == FG_CONN_HEAD && c->served && !c->seen)
        c->since = fg_clock_ms();
    c->arrived += n;
    if (evbuffer_get_length(c->ahead)) /* belongs before it */
        set_reader(c, NULL);
    else if (c->phase == FG_CONN_HEAD)
        rc = head_input(c, &e);
    else if (c->phase == FG_CONN_BODY)
        rc = follow_body(c, n, &e);
    if (rc && rc != FG_EBUSY)
        fg_gate_refuse(c, &e);
}

/* --- from one to the next --- */

void fg_gate_open(struct fg_conn *c)
{
    bufferevent_getcb(c->bev, &c->read_cb, NULL, NULL, NULL);
    set_reader(c, NULL);
}

void fg_gate_next(struct fg_conn *c)
{
    fg_hold_release(&c->hold);
    c->phase = FG_CONN_HEAD;
    c->target[0] = '\0';
    c->seen = 0;
    c->served = true;
    c->since = fg_clock_ms();
    /* evhttp would read at once what is there. */
    evbuffer_add_buffer(c->ahead, bufferevent_get_input(c->bev));
    event_active(c->next, EV_TIMEOUT, 0);
}

void fg_gate_resume(int fd, short what, void *arg)
{
    struct fg_conn *c = arg;
    struct evbuffer *later;

    (void)fd;
    (void)what;
    if (c->phase != FG_CONN_HEAD)
        return;
    set_reader(c, NULL);
    if (!evbuffer_get_length(c->ahead))
        return;
    later = c->ahead;
    c->ahead = evbuffer_new();
    if (!c->ahead || evbuffer_prepend_buffer(bufferevent_get_input(c->bev), later) < 0) {
        if (!c->ahead)
            c->ahead = later;
        else
            evbuffer_free(later);
        fg_conn_close(c);
        return;
    }
    evbuffer_free(later);
    if (c->phase == FG_CONN_BODY || c->phase == FG_CONN_WHOLE)
        bufferevent_trigger(c->bev, EV_READ, 0);
}
