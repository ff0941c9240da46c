/* What evhttp leaves out of a connection: deadlines, bounds, noticing that the client has left
 * while its answer is being computed, and JSON where evhttp itself answers with an HTML page. Loop
 * thread.
 *
 * evhttp (2.1) stops reading once a request is complete, so a disconnect would go unnoticed until
 * the answer is written; and with reading switched on, its own read callback ends the process when
 * bytes of a next request arrive early. So while a request is answered, reading is on, without that
 * callback and up to a bound; the bytes wait in the input buffer until evhttp looks at them again.
 */
#ifndef FG_API_CONN_H
#define FG_API_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "api/caller.h"

struct fg_api;
struct fg_api_door;
struct fg_exchange;

struct fg_conn {
    LIST_ENTRY(fg_conn) link;
    struct fg_api *api;
    struct evhttp_connection *evcon;
    struct bufferevent *bev;
    struct evbuffer_cb_entry *input_cb, *output_cb;
    struct event *deadline;       /* pending while a request arrives */
    struct event *page;           /* evhttp has written something of its own */
    struct fg_caller caller;      /* on TCP: of the request that came last */
    bool busy;                    /* a request of ours is being answered */
    bool refused;                 /* evhttp's last word on this connection is written, as JSON */
    struct fg_exchange *exchange; /* that is computed for this connection, or NULL */
    struct fg_cache_call *call;   /* that it waits for, or NULL */
};
LIST_HEAD(fg_conn_list, fg_conn);

/* An accepted connection that evhttp has not told us about yet. */
struct fg_fresh_bev {
    STAILQ_ENTRY(fg_fresh_bev) link;
    struct bufferevent *bev; /* holds a reference */
    bool tcp;
};
STAILQ_HEAD(fg_bev_list, fg_fresh_bev);

enum { FG_MAX_HEADER_BYTES = 64 * 1024 };

/* evhttp's bufferevent callback; `door` is a struct fg_api_door. */
struct bufferevent *fg_conn_accept(struct event_base *base, void *door);
/* Makes connections of what was accepted; the callback of api->adopt. */
void fg_conn_adopt(int fd, short what, void *api);

/* The connection of a request that has arrived, NULL when it is unknown. */
struct fg_conn *fg_conn_of(struct fg_api *api, struct evhttp_request *req);
/* A request is being answered, until evhttp has sent the answer. */
void fg_conn_begin(struct fg_conn *c, struct evhttp_request *req);
/* The answer takes its time: go on noticing whether the client is there. `exchange` is told by
 * fg_exchange_lost when it is not. */
void fg_conn_wait(struct fg_conn *c, struct fg_exchange *exchange);
/* Bytes of answers that the client has not taken yet. */
size_t fg_conn_unsent(const struct fg_conn *c);
/* Ends the connection at once. */
void fg_conn_close(struct fg_conn *c);

#endif
