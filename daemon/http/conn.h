/* What evhttp leaves out of a connection: deadlines, bounds, noticing that the client has left
 * while its answer is being computed, and JSON where evhttp itself answers with an HTML page. Loop
 * thread. For this folder's files only.
 *
 * evhttp (2.1) stops reading once a request is complete, so a disconnect would go unnoticed until
 * the answer is written; and with reading switched on, its own read callback ends the process when
 * bytes of a next request arrive early. So while a request is answered, reading is on, without that
 * callback and up to a bound; the bytes wait in the input buffer until evhttp looks at them again.
 */
#ifndef FG_HTTP_CONN_H
#define FG_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "budget.h"
#include "head.h"
#include "listen.h"
#include "request.h"

/* As much of a request's target as tells what kind of error it is answered with. */
enum { FG_TARGET_BYTES = 64 };

struct fg_arrival;
struct fg_http;
struct fg_wrong_keys;

enum fg_conn_phase {
    FG_CONN_HEAD,    /* between requests, or inside a head */
    FG_CONN_BODY,    /* a body arrives */
    FG_CONN_WHOLE,   /* a request has arrived and is not answered yet */
    FG_CONN_REFUSED, /* our last word is said; what still comes is thrown away (gate.c) */
};

struct fg_conn {
    LIST_ENTRY(fg_conn) link;
    struct fg_http *http;
    struct fg_door *door;
    bool ipv6;
    uint8_t peer[16]; /* the address by TCP; of IPv6 the network */
    struct evhttp_connection *evcon;
    struct bufferevent *bev;
    struct evbuffer_cb_entry *input_cb, *output_cb;
    struct event *page;            /* evhttp has written something of its own */
    struct event *next;            /* evhttp waits for the next request */
    struct event *late;            /* a wrong key has been answered late enough */
    double late_ms;                /* how late; 0: at once */
    bool held;                     /* until then nothing is read, and evhttp is told nothing */
    struct fg_http_error *refusal; /* the answer then; NULL: the handler's */
    enum fg_conn_phase phase;
    bufferevent_data_cb read_cb;  /* evhttp's */
    char target[FG_TARGET_BYTES]; /* of this request, cut; "": not known */
    size_t seen;                  /* bytes of the head that were looked at */
    bool chunked;
    struct fg_chunks chunks;
    uint64_t left;                        /* bytes of the body that are still to come; refused: of
                                           * what is thrown away */
    struct evbuffer *ahead;               /* came before evhttp waits for the next request */
    struct fg_hold hold;                  /* for the body, until it is taken */
    struct fg_hold unread;                /* for what is not sent of a stream (answers.c) */
    uint8_t tenant[FG_HTTP_TENANT_BYTES]; /* whose the request is */
    double since;  /* accepted, first byte of this request, answered or refused; in ms, as what
                      follows */
    double moved;  /* what is sent began, or was last taken */
    int queued;    /* bytes in the kernel that the client had not taken, when last looked at */
    double window; /* began; `arrived` bytes of a body came in it */
    size_t arrived;
    bool served;                /* a request of it was answered */
    bool known;                 /* one came that may */
    bool busy;                  /* a request of ours is being answered */
    bool refused;               /* evhttp's last word on this connection is written, as JSON */
    struct fg_request *request; /* that is kept until it is answered, or NULL */
};
LIST_HEAD(fg_conn_list, fg_conn);

/* An accepted connection that evhttp has not told us about yet. */
struct fg_fresh_bev {
    STAILQ_ENTRY(fg_fresh_bev) link;
    struct bufferevent *bev; /* holds a reference */
    struct fg_door *door;
};
STAILQ_HEAD(fg_bev_list, fg_fresh_bev);

/* One listening socket and the evhttp behind it. */
struct fg_door {
    struct fg_http *http;
    struct evhttp *evhttp; /* NULL: not in use */
    struct evhttp_bound_socket *bound;
    struct evconnlistener *listener; /* NULL once it no longer accepts */
    uint32_t n, most;                /* connections */
    double rests_until;              /* accepting failed; 0: it did not */
    bool tcp;
};

enum { FG_DOOR_UNIX, FG_DOOR_TCP, FG_DOORS };

struct fg_http {
    struct event_base *base;
    struct fg_door doors[FG_DOORS];
    struct fg_unix_socket socket;
    uint16_t tcp_port;
    size_t max_body, max_buffered;
    struct fg_budget *budget; /* of bodies */
    struct fg_budget *made;   /* of what is made of them */
    struct fg_budget *answers;
    uint32_t max_connections, per_peer, per_tenant;
    double head_ms, stall_ms, idle_ms, request_ms;
    int (*admit)(void *ctx, const struct fg_arrival *a, uint8_t tenant[FG_HTTP_TENANT_BYTES],
                 struct fg_http_error *e);
    void (*handle)(void *ctx, struct fg_request *r, const char *path);
    void (*quiet)(void *ctx);
    json_t *(*error)(void *ctx, const char *target, const char *id, const struct fg_http_error *e);
    void *ctx;
    struct fg_conn_list conns;
    struct fg_bev_list fresh; /* accepted, not yet in conns */
    uint32_t n_conns;
    struct event *adopt; /* fresh connections wait */
    struct fg_wrong_keys *guessers;
    uint32_t wrong_keys;    /* since they were last told of in the log; */
    uint8_t wrong_peer[16]; /* from whom the last one came */
    bool wrong_ipv6;
    double wrong_told;  /* when that was */
    struct event *tick; /* looks at deadlines (limits.c) */
    bool stopped, closing;
};

/* evhttp's bufferevent callback; `door` is a struct fg_door. */
struct bufferevent *fg_conn_accept(struct event_base *base, void *door);
/* Makes connections of what was accepted; the callback of http->adopt. */
void fg_conn_adopt(int fd, short what, void *http);

/* The connection of a request that has arrived, NULL when it is unknown. */
struct fg_conn *fg_conn_of(struct fg_http *http, struct evhttp_request *ev);
/* A request is being answered, until evhttp has sent the answer. */
void fg_conn_begin(struct fg_conn *c, struct evhttp_request *ev);
/* The answer takes its time: go on noticing whether the client is there. */
void fg_conn_wait(struct fg_conn *c, struct fg_request *r);
/* The request is evhttp's from here on. */
struct evhttp_request *fg_conn_let_go(struct fg_request *r);
/* Bytes of answers that the client has not taken yet. */
size_t fg_conn_unsent(const struct fg_conn *c);
/* The text of an error that answers its request; `id` as in fg_http_options, or NULL. The caller's;
 * NULL: out of memory. */
char *fg_conn_error(const struct fg_conn *c, const char *id, const struct fg_http_error *e);
/* Ends the connection at once. */
void fg_conn_close(struct fg_conn *c);

#endif
