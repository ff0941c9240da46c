#include "conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "answers.h"
#include "errors.h"
#include "gate.h"
#include "json_out.h"
#include "limits.h"

/* What may wait unread behind a request that is being answered. */
enum { MAX_PIPELINED = 256 * 1024 };

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct fg_conn *c = arg;

    (void)input;
    if (!info->n_added || c->busy || c->refused)
        return;
    fg_gate_input(c, info->n_added);
}

static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct fg_conn *c = arg;

    (void)output;
    if (info->n_deleted || !info->orig_size)
        fg_limits_moved(c);
    if (info->n_deleted)
        fg_answers_sent(c);
    if (info->n_added && !info->orig_size && !c->busy && !c->refused && c->phase != FG_CONN_REFUSED)
        event_active(c->page, EV_TIMEOUT, 0);
}

static void page_error(const struct fg_conn *c, int status, struct fg_http_error *e)
{
    switch (status) {
    case 400:
        fg_http_fail(e, status, NULL, NULL,
                     "the request's first line or a header is malformed, or they are longer than "
                     "%d bytes",
                     FG_MAX_HEADER_BYTES);
        return;
    case 413:
        fg_http_fail(e, status, NULL, NULL,
                     "the body is larger than %zu bytes, or its chunks are malformed",
                     c->http->max_body);
        return;
    case 417: fg_http_fail(e, status, NULL, NULL, "Expect: it must be 100-continue"); return;
    case 501:
        fg_http_fail(e, status, NULL, NULL, "the method is not known; use GET or POST");
        return;
    }
    fg_http_fail(e, status, NULL, NULL, "%s", fg_http_reason(status));
}

char *fg_conn_error(const struct fg_conn *c, const char *id, const struct fg_http_error *e)
{
    const struct fg_http *http = c->http;
    json_t *root = http->error ? http->error(http->ctx, c->target, id, e) : fg_http_error_json(e);
    char *text = fg_json_dump(root);

    json_decref(root);
    return text;
}

/* Runs in the round of the loop in which evhttp wrote its page, before any of it can be sent. */
static void on_page(evutil_socket_t fd, short what, void *arg)
{
    struct fg_conn *c = arg;
    struct evbuffer *out = bufferevent_get_output(c->bev);
    struct fg_http_error e;
    char head[13] = "", *body = NULL;
    int status;

    (void)fd;
    (void)what;
    if (c->busy || c->phase == FG_CONN_REFUSED)
        return;
    evbuffer_unfreeze(out, 1); /* bufferevents let nobody else take from this end */
    if (evbuffer_copyout(out, head, 12) == 12 && sscanf(head, "HTTP/1.%*1d %3d", &status) == 1 &&
        status >= 400) {
        page_error(c, status, &e);
        body = fg_conn_error(c, NULL, &e);
    }
    if (body) {
        c->refused = true;
        evbuffer_drain(out, evbuffer_get_length(out));
        evbuffer_add_printf(out,
                            "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                            "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                            status, fg_http_reason(status), strlen(body), body);
    }
    free(body);
    evbuffer_freeze(out, 1);
}

static void free_conn(struct fg_conn *c)
{
    if (c->page)
        event_free(c->page);
    if (c->next)
        event_free(c->next);
    if (c->late)
        event_free(c->late);
    if (c->ahead)
        evbuffer_free(c->ahead);
    free(c->refusal);
    fg_hold_release(&c->hold);
    fg_hold_release(&c->unread);
    free(c);
}

struct evhttp_request *fg_conn_let_go(struct fg_request *r)
{
    struct evhttp_request *ev = r->ev;

    if (r->conn->request == r)
        r->conn->request = NULL;
    r->conn = NULL;
    r->ev = NULL;
    return ev;
}

static void lose_request(struct fg_conn *c)
{
    struct fg_request *r = c->request;

    if (!r)
        return;
    /* evhttp leaves us a request that it has taken off the connection; others it frees itself. */
    if (!evhttp_request_get_connection(r->ev))
        evhttp_request_free(r->ev);
    fg_conn_let_go(r);
    r->status = 0;
    r->lost(r->arg);
}

/* The only way a connection ends: evhttp calls this from evhttp_connection_free. */
static void on_close(struct evhttp_connection *evcon, void *arg)
{
    struct fg_conn *c = arg;
    struct fg_http *http = c->http;

    (void)evcon;
    LIST_REMOVE(c, link);
    http->n_conns--;
    c->door->n--;
    evbuffer_remove_cb_entry(bufferevent_get_input(c->bev), c->input_cb);
    evbuffer_remove_cb_entry(bufferevent_get_output(c->bev), c->output_cb);
    lose_request(c);
    free_conn(c);
    fg_limits_update(http);
    http->quiet(http->ctx);
}

struct bufferevent *fg_conn_accept(struct event_base *base, void *arg)
{
    struct fg_door *door = arg;
    struct fg_fresh_bev *fresh = malloc(sizeof *fresh);
    struct bufferevent *bev = fresh ? bufferevent_socket_new(base, -1, 0) : NULL;

    if (!bev) {
        free(fresh);
        return NULL; /* evhttp makes its own; fg_conn_of will not know it */
    }
    bufferevent_incref(bev);
    fresh->bev = bev;
    fresh->door = door;
    STAILQ_INSERT_TAIL(&door->http->fresh, fresh, link);
    door->http->n_conns++;
    door->n++;
    event_active(door->http->adopt, EV_TIMEOUT, 0);
    fg_limits_update(door->http);
    return bev;
}

/* NULL: memory ran out. */
static struct fg_conn *new_conn(struct fg_door *door, struct evhttp_connection *evcon)
{
    struct fg_conn *c = calloc(1, sizeof *c);
    struct fg_http *http = door->http;

    if (!c)
        return NULL;
    c->http = http;
    c->door = door;
    c->evcon = evcon;
    c->bev = evhttp_connection_get_bufferevent(evcon);
    c->page = event_new(http->base, -1, 0, on_page, c);
    c->next = event_new(http->base, -1, 0, fg_gate_resume, c);
    c->late = event_new(http->base, -1, 0, fg_gate_late, c);
    c->ahead = evbuffer_new();
    if (c->page && c->next && c->late && c->ahead)
        c->input_cb = evbuffer_add_cb(bufferevent_get_input(c->bev), on_input, c);
    if (c->input_cb)
        c->output_cb = evbuffer_add_cb(bufferevent_get_output(c->bev), on_output, c);
    if (!c->output_cb) {
        if (c->input_cb)
            evbuffer_remove_cb_entry(bufferevent_get_input(c->bev), c->input_cb);
        free_conn(c);
        return NULL;
    }
    return c;
}

void fg_conn_adopt(int fd, short what, void *arg)
{
    struct fg_http *http = arg;
    struct fg_fresh_bev *fresh;

    (void)fd;
    (void)what;
    while ((fresh = STAILQ_FIRST(&http->fresh))) {
        const int one = 1;
        void *evcon; /* evhttp's callbacks are given the connection */
        struct fg_conn *c;

        STAILQ_REMOVE_HEAD(&http->fresh, link);
        bufferevent_getcb(fresh->bev, NULL, NULL, NULL, &evcon);
        c = evcon ? new_conn(fresh->door, evcon) : NULL;
        if (c) {
            if (fresh->door->tcp)
                setsockopt(bufferevent_getfd(c->bev), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            evhttp_connection_set_closecb(evcon, on_close, c);
            fg_gate_open(c);
            LIST_INSERT_HEAD(&http->conns, c, link);
            fg_limits_admit(c);
        } else {
            http->n_conns--;
            fresh->door->n--;
            if (evcon)
                evhttp_connection_free(evcon);
        }
        bufferevent_decref(fresh->bev);
        free(fresh);
    }
    fg_limits_update(http);
}

struct fg_conn *fg_conn_of(struct fg_http *http, struct evhttp_request *ev)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(ev);
    struct fg_conn *c;

    LIST_FOREACH(c, &http->conns, link)
    if (c->evcon == evcon)
        return c;
    return NULL;
}

/* evhttp has sent the whole answer; the connection lives on or is closed next. */
static void on_sent(struct evhttp_request *req, void *arg)
{
    struct fg_conn *c = arg;

    (void)req;
    c->busy = false;
    bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
    fg_gate_next(c);
    c->http->quiet(c->http->ctx);
}

void fg_conn_begin(struct fg_conn *c, struct evhttp_request *ev)
{
    c->busy = true;
    bufferevent_setwatermark(c->bev, EV_READ, 0, MAX_PIPELINED);
    evhttp_request_set_on_complete_cb(ev, on_sent, c);
}

void fg_conn_wait(struct fg_conn *c, struct fg_request *r)
{
    bufferevent_data_cb write_cb;
    bufferevent_event_cb event_cb;
    void *arg;

    c->request = r;
    bufferevent_getcb(c->bev, NULL, &write_cb, &event_cb, &arg);
    bufferevent_setcb(c->bev, NULL, write_cb, event_cb, arg);
    bufferevent_enable(c->bev, EV_READ);
}

size_t fg_conn_unsent(const struct fg_conn *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

void fg_conn_close(struct fg_conn *c)
{
    evhttp_connection_free(c->evcon);
}
