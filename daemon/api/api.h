/* The API's own state, shared by the files of this folder; loop thread unless said otherwise. */
#ifndef FG_API_API_H
#define FG_API_API_H

#include <stdbool.h>
#include <sys/queue.h>
#include <event2/event.h>
#include <event2/http.h>

#include "operation_routes.h"
#include "caller.h"
#include "http/conn.h"
#include "api/openai/exchange.h"
#include "serve/backend.h"
#include "http/listen.h"
#include "http/mailbox.h"
#include "server.h"

/* One listening socket and the HTTP server behind it. */
struct fg_api_door {
    struct fg_api *api;
    struct evhttp *http; /* NULL: not in use */
    struct evhttp_bound_socket *bound;
    struct evconnlistener *listener; /* NULL once it no longer accepts */
    bool tcp;
};

enum { FG_DOOR_UNIX, FG_DOOR_TCP, FG_DOORS };

struct fg_api {
    struct event_base *base;
    struct fg_backend backend;
    struct fg_flow_info info;
    struct fg_api_door doors[FG_DOORS];
    struct fg_unix_socket socket;
    uint16_t tcp_port;
    struct fg_callers callers;
    char *version;
    size_t max_body, max_buffered;
    uint32_t max_connections, idle_s, request_s;

    struct fg_mailbox mailbox, task_mailbox;
    struct fg_exchange_list exchanges;
    struct fg_cache_call_list calls;
    struct fg_conn_list conns;
    struct fg_bev_list fresh; /* accepted, not yet in conns */
    uint32_t n_conns;
    struct event *adopt; /* fresh connections wait */
    struct event *mail;  /* the mailbox's wake_fd */
    struct event *task_mail;

    bool draining, closing, drain_told;
    struct event *drained;
    void (*drain_done)(void *ctx);
    void *drain_ctx;
};

/* Whether new connections are taken, after the count or the state has changed. */
void fg_api_update_listeners(struct fg_api *api);
/* Tells the drain's caller when nothing is left. */
void fg_api_check_drained(struct fg_api *api);

#endif
