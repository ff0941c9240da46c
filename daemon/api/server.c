#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "api.h"
#include "base/log.h"
#include "routes.h"

enum { SPARE_FILES = 128, FEWEST_CONNECTIONS = 16 };

void fg_api_update_listeners(struct fg_api *api)
{
    for (int i = 0; i < FG_DOORS; i++) {
        if (!api->doors[i].listener || api->closing)
            continue;
        if (api->n_conns < api->max_connections)
            evconnlistener_enable(api->doors[i].listener);
        else
            evconnlistener_disable(api->doors[i].listener);
    }
}

void fg_api_check_drained(struct fg_api *api)
{
    struct fg_conn *c;

    if (!api->draining || api->drain_told || api->closing || !TAILQ_EMPTY(&api->exchanges) ||
        !TAILQ_EMPTY(&api->calls))
        return;
    LIST_FOREACH(c, &api->conns, link)
    if (c->busy)
        return;
    api->drain_told = true;
    event_active(api->drained, EV_TIMEOUT, 0);
}

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
    struct fg_api *api = arg;

    (void)fd;
    (void)what;
    if (api->drain_done)
        api->drain_done(api->drain_ctx);
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    fg_exchange_deliver(arg, false);
}

static void on_task_mail(evutil_socket_t fd, short what, void *api)
{
    (void)fd;
    (void)what;
    fg_cache_call_deliver(api, false);
}

/* Takes over the listening `fd`. */
static int open_door(struct fg_api *api, struct fg_api_door *door, int fd, struct fg_err *err)
{
    struct evhttp *http = evhttp_new(api->base);

    if (http)
        door->bound = evhttp_accept_socket_with_handle(http, fd);
    if (!http || !door->bound) {
        if (http)
            evhttp_free(http);
        close(fd);
        return fg_fail(err, FG_ENOMEM, "the HTTP server could not be made");
    }
    door->http = http;
    door->listener = evhttp_bound_socket_get_listener(door->bound);
    /* Those that no path takes are named too, by a 405. */
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                         EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
                                         EVHTTP_REQ_TRACE | EVHTTP_REQ_PATCH);
    evhttp_set_default_content_type(http, NULL);
    evhttp_set_max_headers_size(http, FG_MAX_HEADER_BYTES);
    evhttp_set_max_body_size(http, (ev_ssize_t)api->max_body);
    evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE); /* a 413 is read to its end, or lost */
    evhttp_set_timeout(http, (int)api->idle_s);
    evhttp_set_bevcb(http, fg_conn_accept, door);
    evhttp_set_gencb(http, fg_api_route, door);
    return 0;
}

static int open_doors(struct fg_api *api, const struct fg_api_options *opt, struct fg_err *err)
{
    int fd, r;

    if (opt->socket_path) {
        r = fg_listen_unix(opt->socket_path, &api->socket, &fd, err);
        if (!r)
            r = open_door(api, &api->doors[FG_DOOR_UNIX], fd, err);
        if (r)
            return r;
        fg_log(FG_LOG_INFO, "api", "listening socket=%s", opt->socket_path);
    }
    if (opt->tcp_addr) {
        r = fg_listen_tcp(opt->tcp_addr, opt->n_api_keys > 0, &fd, &api->tcp_port, err);
        if (!r)
            r = open_door(api, &api->doors[FG_DOOR_TCP], fd, err);
        if (r)
            return r;
        fg_log(FG_LOG_INFO, "api", "listening tcp=%s port=%u keys=%zu", opt->tcp_addr,
               api->tcp_port, opt->n_api_keys);
    }
    return 0;
}

static int check_options(const struct fg_api_options *opt, struct fg_err *err)
{
    if (!opt->socket_path && !opt->tcp_addr)
        return fg_fail(err, FG_EINVAL, "neither a socket path nor a TCP address was given");
    return 0;
}

/* Every connection is a file, and so is much else: running out of them stops more than the API. */
static uint32_t bounded_connections(uint32_t wanted)
{
    struct rlimit files;
    rlim_t most;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
        return wanted;
    most = files.rlim_cur > SPARE_FILES + FEWEST_CONNECTIONS ? files.rlim_cur - SPARE_FILES
                                                             : FEWEST_CONNECTIONS;
    return wanted < most ? wanted : (uint32_t)most;
}

static int set_options(struct fg_api *api, const struct fg_api_options *opt)
{
    api->base = opt->base;
    api->backend = *opt->backend;
    api->max_body = opt->max_body ? opt->max_body : (size_t)64 << 20;
    api->max_buffered = opt->max_buffered ? opt->max_buffered : (size_t)16 << 20;
    api->max_connections = bounded_connections(opt->max_connections ? opt->max_connections : 512);
    api->idle_s = opt->idle_s ? opt->idle_s : 120;
    api->request_s = opt->request_s ? opt->request_s : 120;
    api->version = strdup(opt->version ? opt->version : "");
    opt->backend->info(opt->backend->ctx, &api->info);
    return api->version ? 0 : FG_ENOMEM;
}

static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

int fg_api_create(const struct fg_api_options *opt, struct fg_api **out, struct fg_err *err)
{
    int r = check_options(opt, err);
    struct fg_api *api;

    if (r)
        return r;
    api = calloc(1, sizeof *api);
    if (!api)
        return fg_fail(err, FG_ENOMEM, "out of memory");
    TAILQ_INIT(&api->exchanges);
    TAILQ_INIT(&api->calls);
    LIST_INIT(&api->conns);
    STAILQ_INIT(&api->fresh);
    api->mailbox.wake_fd = api->task_mailbox.wake_fd = -1;
    for (int i = 0; i < FG_DOORS; i++)
        api->doors[i] = (struct fg_api_door){.api = api, .tcp = i == FG_DOOR_TCP};
    ignore_sigpipe();
    if (set_options(api, opt))
        r = fg_fail(err, FG_ENOMEM, "out of memory");
    if (!r)
        r = fg_callers_init(&api->callers, opt, err);
    if (!r)
        r = fg_mailbox_init(&api->mailbox, err);
    if (!r)
        r = fg_mailbox_init(&api->task_mailbox, err);
    if (!r) {
        api->adopt = event_new(api->base, -1, 0, fg_conn_adopt, api);
        api->drained = event_new(api->base, -1, 0, on_drained, api);
        api->mail = event_new(api->base, api->mailbox.wake_fd, EV_READ | EV_PERSIST, on_mail, api);
        api->task_mail = event_new(api->base, api->task_mailbox.wake_fd, EV_READ | EV_PERSIST,
                                   on_task_mail, api);
        if (!api->adopt || !api->drained || !api->mail || !api->task_mail ||
            event_add(api->mail, NULL) < 0 || event_add(api->task_mail, NULL) < 0)
            r = fg_fail(err, FG_ENOMEM, "the API's events could not be made");
    }
    if (!r)
        r = open_doors(api, opt, err);
    if (r) {
        fg_api_destroy(api);
        return r;
    }
    *out = api;
    return 0;
}

static void free_event(struct event *e)
{
    if (e)
        event_free(e);
}

void fg_api_destroy(struct fg_api *api)
{
    if (!api)
        return;
    api->closing = true;
    /* The flow still holds pointers to these; it lets go of each within one chunk of work. */
    fg_exchange_cancel_all(api);
    while (!TAILQ_EMPTY(&api->exchanges))
        fg_exchange_deliver(api, true);
    fg_cache_call_cancel_all(api);
    while (!TAILQ_EMPTY(&api->calls))
        fg_cache_call_deliver(api, true);
    fg_conn_adopt(-1, 0, api); /* so that evhttp_free ends them all */
    for (int i = 0; i < FG_DOORS; i++)
        if (api->doors[i].http)
            evhttp_free(api->doors[i].http);
    free_event(api->task_mail);
    free_event(api->mail);
    free_event(api->drained);
    free_event(api->adopt);
    if (api->task_mailbox.wake_fd >= 0)
        fg_mailbox_finish(&api->task_mailbox);
    if (api->mailbox.wake_fd >= 0)
        fg_mailbox_finish(&api->mailbox);
    fg_unix_socket_finish(&api->socket);
    fg_callers_finish(&api->callers);
    free(api->version);
    free(api);
}

void fg_api_drain(struct fg_api *api, void (*done)(void *ctx), void *ctx)
{
    if (api->draining)
        return;
    api->draining = true;
    api->drain_done = done;
    api->drain_ctx = ctx;
    for (int i = 0; i < FG_DOORS; i++)
        if (api->doors[i].listener) {
            api->doors[i].listener = NULL;
            evhttp_del_accept_socket(api->doors[i].http, api->doors[i].bound);
        }
    fg_log(FG_LOG_INFO, "api", "draining");
    fg_api_check_drained(api);
}

uint16_t fg_api_tcp_port(const struct fg_api *api)
{
    return api->tcp_port;
}
