#include "server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/log.h"
#include "conn.h"
#include "json_memory.h"
#include "limits.h"
#include "wrong_keys.h"

/* Of what is made of bodies, beside what grows with them: small ones become more than they are. */
enum { MADE_LEAST = 2 << 20 };

static void nobody_asks(void *ctx)
{
    (void)ctx;
}

/* evhttp's callback for every request. */
static void on_request(struct evhttp_request *ev, void *arg)
{
    struct fg_door *door = arg;
    struct fg_http *http = door->http;
    struct fg_request r = {.conn = fg_conn_of(http, ev), .ev = ev, .tcp = door->tcp};
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(ev);
    const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
    struct fg_http_error e;
    size_t n = 0;
    char *path;

    if (!r.conn) { /* memory ran out when it was accepted */
        evhttp_connection_free(evhttp_request_get_connection(ev));
        return;
    }
    fg_conn_begin(r.conn, ev);
    path = evhttp_uridecode(raw ? raw : "", 0, &n);
    if (!path || strlen(path) != n) {
        fg_http_fail(&e, 400, NULL, NULL, "the path holds a NUL byte");
        fg_reply_error(&r, &e);
    } else {
        http->handle(http->ctx, &r, path);
    }
    free(path);
}

/* Takes over the listening `fd`. */
static int open_door(struct fg_http *http, struct fg_door *door, int fd, struct fg_err *err)
{
    struct evhttp *evhttp = evhttp_new(http->base);

    if (evhttp)
        door->bound = evhttp_accept_socket_with_handle(evhttp, fd);
    if (!evhttp || !door->bound) {
        if (evhttp)
            evhttp_free(evhttp);
        close(fd);
        return fg_fail(err, FG_ENOMEM, "the HTTP server could not be made");
    }
    door->evhttp = evhttp;
    door->listener = evhttp_bound_socket_get_listener(door->bound);
    fg_limits_watch(door);
    /* Those that no path takes are named too, by a 405. */
    evhttp_set_allowed_methods(evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                           EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
                                           EVHTTP_REQ_TRACE | EVHTTP_REQ_PATCH);
    evhttp_set_default_content_type(evhttp, NULL);
    evhttp_set_max_headers_size(evhttp, FG_MAX_HEADER_BYTES);
    evhttp_set_max_body_size(evhttp, (ev_ssize_t)http->max_body);
    evhttp_set_bevcb(evhttp, fg_conn_accept, door);
    evhttp_set_gencb(evhttp, on_request, door);
    return 0;
}

static int open_doors(struct fg_http *http, const struct fg_http_options *opt, struct fg_err *err)
{
    int fd, r;

    if (opt->socket_path) {
        r = fg_listen_unix(opt->socket_path, &http->socket, &fd, err);
        if (!r)
            r = open_door(http, &http->doors[FG_DOOR_UNIX], fd, err);
        if (r)
            return r;
        fg_log(FG_LOG_INFO, "api", "listening socket=%s", opt->socket_path);
    }
    if (opt->tcp_addr) {
        r = fg_listen_tcp(opt->tcp_addr, opt->tcp_public, &fd, &http->tcp_port, err);
        if (!r)
            r = open_door(http, &http->doors[FG_DOOR_TCP], fd, err);
        if (r)
            return r;
        fg_log(FG_LOG_INFO, "api", "listening tcp=%s port=%u", opt->tcp_addr, http->tcp_port);
    }
    return 0;
}

static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

static struct fg_http *new_server(const struct fg_http_options *opt)
{
    struct fg_http *http = calloc(1, sizeof *http);

    if (!http)
        return NULL;
    http->base = opt->base;
    http->max_body = opt->max_body ? opt->max_body : (size_t)64 << 20;
    http->max_buffered = opt->max_buffered ? opt->max_buffered : (size_t)16 << 20;
    http->admit = opt->admit;
    http->handle = opt->handle;
    http->quiet = opt->quiet ? opt->quiet : nobody_asks;
    http->error = opt->error;
    http->ctx = opt->ctx;
    LIST_INIT(&http->conns);
    STAILQ_INIT(&http->fresh);
    for (int i = 0; i < FG_DOORS; i++)
        http->doors[i] = (struct fg_door){.http = http, .tcp = i == FG_DOOR_TCP};
    fg_limits_init(http, opt);
    return http;
}

static struct fg_budget *new_budget(const struct fg_http *http, size_t total)
{
    if (!total)
        total = (size_t)128 << 20;
    if (total < http->max_body)
        total = http->max_body;
    return fg_budget_create(total, total / 2 > http->max_body ? total / 2 : http->max_body);
}

/* A body that is one long string is there three times while it is parsed and copied. A tenant may
 * have all of it. */
static struct fg_budget *new_made(const struct fg_http *http)
{
    const size_t total = 3 * http->max_body + MADE_LEAST;

    return fg_budget_create(total, total);
}

static struct fg_budget *new_answers(size_t total)
{
    if (!total)
        total = (size_t)96 << 20;
    return fg_budget_create(total, total / 2);
}

int fg_http_create(const struct fg_http_options *opt, struct fg_http **out, struct fg_err *err)
{
    struct fg_http *http;
    int rc = 0;

    *out = NULL;
    if (!opt->socket_path && !opt->tcp_addr)
        return fg_fail(err, FG_EINVAL, "neither a socket path nor a TCP address was given");
    http = new_server(opt);
    if (!http)
        return fg_fail(err, FG_ENOMEM, "no memory for the HTTP server");
    ignore_sigpipe();
    http->adopt = event_new(http->base, -1, 0, fg_conn_adopt, http);
    http->tick = event_new(http->base, -1, 0, fg_limits_tick, http);
    http->budget = new_budget(http, opt->max_bodies);
    http->made = new_made(http);
    http->answers = new_answers(opt->max_answers);
    http->guessers = calloc(1, sizeof *http->guessers);
    fg_json_memory_init();
    if (!http->guessers || !http->adopt || !http->tick || !http->budget || !http->made ||
        !http->answers)
        rc = fg_fail(err, FG_ENOMEM, "no memory for the HTTP server");
    if (rc == 0)
        rc = open_doors(http, opt, err);
    if (rc == 0)
        fg_limits_tick(-1, 0, http);
    if (rc)
        fg_http_destroy(http);
    else
        *out = http;
    return rc;
}

void fg_http_destroy(struct fg_http *http)
{
    if (!http)
        return;
    http->closing = true;
    if (http->adopt)
        fg_conn_adopt(-1, 0, http); /* so that evhttp_free ends them all */
    for (int i = 0; i < FG_DOORS; i++)
        if (http->doors[i].evhttp)
            evhttp_free(http->doors[i].evhttp);
    if (http->adopt)
        event_free(http->adopt);
    if (http->tick)
        event_free(http->tick);
    fg_unix_socket_finish(&http->socket);
    fg_budget_destroy(http->budget);
    fg_budget_destroy(http->made);
    fg_budget_destroy(http->answers);
    free(http->guessers);
    free(http);
}

void fg_http_stop(struct fg_http *http)
{
    http->stopped = true;
    for (int i = 0; i < FG_DOORS; i++)
        if (http->doors[i].listener) {
            http->doors[i].listener = NULL;
            evhttp_del_accept_socket(http->doors[i].evhttp, http->doors[i].bound);
        }
}

bool fg_http_stopped(const struct fg_http *http)
{
    return http->stopped;
}

bool fg_http_busy(const struct fg_http *http)
{
    const struct fg_conn *c;

    LIST_FOREACH(c, &http->conns, link)
    if (c->busy)
        return true;
    return false;
}

uint16_t fg_http_tcp_port(const struct fg_http *http)
{
    return http->tcp_port;
}
