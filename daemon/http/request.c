#include "request.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <event2/bufferevent.h>

#include "answers.h"
#include "conn.h"
#include "json_in.h"
#include "json_out.h"
#include "server.h"

void fg_request_keep(struct fg_request *to, struct fg_request *from, void (*lost)(void *arg),
                     void *arg)
{
    *to = *from;
    to->lost = lost;
    to->arg = arg;
    from->ev = NULL;
    fg_conn_wait(to->conn, to);
}

void fg_request_abort(struct fg_request *r)
{
    fg_conn_close(r->conn);
}

int fg_request_fd(const struct fg_request *r)
{
    return bufferevent_getfd(r->conn->bev);
}

const char *fg_request_who(const struct fg_request *r, char out[FG_REQUEST_WHO])
{
    struct sockaddr_storage sa = {0};
    struct ucred peer;
    socklen_t n = sizeof sa, m = sizeof peer;
    char addr[INET6_ADDRSTRLEN] = "gone";

    if (!r->tcp) {
        if (getsockopt(fg_request_fd(r), SOL_SOCKET, SO_PEERCRED, &peer, &m) < 0)
            peer.uid = (uid_t)-1;
        snprintf(out, FG_REQUEST_WHO, "uid=%ld", (long)(int32_t)peer.uid);
        return out;
    }
    if (getpeername(fg_request_fd(r), (struct sockaddr *)&sa, &n) == 0)
        inet_ntop(sa.ss_family,
                  sa.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&sa)->sin_addr
                                          : (void *)&((struct sockaddr_in6 *)&sa)->sin6_addr,
                  addr, sizeof addr);
    snprintf(out, FG_REQUEST_WHO, "peer=%s", addr);
    return out;
}

bool fg_request_is_head(const struct fg_request *r)
{
    return fg_request_method(r) == EVHTTP_REQ_HEAD;
}

enum evhttp_cmd_type fg_request_method(const struct fg_request *r)
{
    return evhttp_request_get_command(r->ev);
}

const char *fg_request_host(const struct fg_request *r)
{
    return evhttp_request_get_host(r->ev);
}

const char *fg_request_header(const struct fg_request *r, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(r->ev), name);
}

const char *fg_request_query(const struct fg_request *r)
{
    return evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r->ev));
}

size_t fg_request_body_bytes(const struct fg_request *r)
{
    return evbuffer_get_length(evhttp_request_get_input_buffer(r->ev));
}

struct fg_body *fg_request_take_body(struct fg_request *r)
{
    struct fg_body *body = calloc(1, sizeof *body);

    if (body)
        body->bytes = evbuffer_new();
    if (!body || !body->bytes ||
        evbuffer_add_buffer(body->bytes, evhttp_request_get_input_buffer(r->ev)) < 0) {
        fg_body_free(body);
        return NULL;
    }
    body->hold = r->conn->hold;
    r->conn->hold = (struct fg_hold){0};
    memcpy(body->tenant, r->conn->tenant, sizeof body->tenant);
    body->budget = r->conn->http->made;
    return body;
}

void fg_reply_header(struct fg_request *r, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(r->ev), name, value);
}

void fg_reply_common(struct fg_request *r, const char *type)
{
    fg_reply_header(r, "Content-Type", type);
    fg_reply_header(r, "Cache-Control", "no-cache");
    /* A web page that got hold of an answer must not be able to run it as something else. */
    fg_reply_header(r, "X-Content-Type-Options", "nosniff");
    if (fg_http_stopped(r->conn->http))
        fg_reply_header(r, "Connection", "close");
}

/* The request is evhttp's. */
static void send_whole(struct fg_request *r, int status, struct evbuffer *out)
{
    struct evhttp_request *ev = fg_conn_let_go(r);

    r->status = status;
    evhttp_send_reply(ev, status, fg_http_reason(status), out);
}

void fg_reply_text(struct fg_request *r, int status, char *body)
{
    struct evbuffer *out = evbuffer_new();
    bool head = fg_request_is_head(r);
    struct fg_http_error e;
    size_t n;
    char length[24];

    if (!body || !out)
        status = 500;
    if (!body) {
        fg_json_nomem(&e);
        body = fg_request_error(r, &e); /* which is small; where there is not even that, nothing */
    }
    n = body ? strlen(body) : 0;
    if (body && out && !head) {
        if (fg_answers_add(r->conn, out, body, n, &e)) {
            evbuffer_free(out);
            free(body);
            fg_reply_error(r, &e);
            return;
        }
        body = NULL;
    }
    fg_reply_common(r, "application/json");
    if (head) {
        snprintf(length, sizeof length, "%zu", n);
        fg_reply_header(r, "Content-Length", length);
    }
    send_whole(r, status, out);
    free(body);
    if (out)
        evbuffer_free(out);
}

void fg_reply_json(struct fg_request *r, int status, json_t *root)
{
    char *body = fg_json_dump(root);

    json_decref(root);
    fg_reply_text(r, status, body);
}

char *fg_request_error(const struct fg_request *r, const struct fg_http_error *e)
{
    const char *id =
        evhttp_find_header(evhttp_request_get_output_headers(r->ev), FG_REQUEST_ID_HEADER);

    return fg_conn_error(r->conn, id, e);
}

/* Is that one to come again? */
static bool is_full(const char *code)
{
    return code && (strcmp(code, "bodies_full") == 0 || strcmp(code, "answers_full") == 0);
}

void fg_reply_error(struct fg_request *r, const struct fg_http_error *e)
{
    if (e->status == 429 || is_full(e->code))
        fg_reply_header(r, "Retry-After", "1");
    if (e->status == 401)
        fg_reply_header(r, "WWW-Authenticate", "Bearer");
    fg_reply_text(r, e->status, fg_request_error(r, e));
}

void fg_reply_options(struct fg_request *r, const char *allow)
{
    fg_reply_header(r, "Allow", allow);
    if (fg_http_stopped(r->conn->http))
        fg_reply_header(r, "Connection", "close");
    send_whole(r, 204, NULL);
}

void fg_reply_head(struct fg_request *r, const char *type)
{
    fg_reply_common(r, type);
    send_whole(r, 200, NULL);
}
