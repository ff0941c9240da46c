/* An HTTP/1.1 server on a Unix socket and, when asked for, on TCP. It knows nothing of what it
 * serves: a handler is given each request. Everything belongs to the thread that runs the event
 * base. */
#ifndef FG_HTTP_SERVER_H
#define FG_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>

#include "budget.h"
#include "errors.h"
#include "fulgur/error.h"

struct fg_http; /* opaque */
struct fg_request;

/* What is known of a request when its head has arrived. */
struct fg_arrival {
    bool tcp;                  /* came by TCP, else by the Unix socket */
    int fd;                    /* of its connection */
    const char *authorization; /* or NULL */
    const char *api_key;       /* of X-Api-Key or Api-Key, or NULL */
    const char *origin;        /* a web page's, or NULL */
};

struct fg_http_options {
    struct event_base *base;  /* borrowed, outlives the server */
    const char *socket_path;  /* the Unix socket; NULL: none */
    const char *tcp_addr;     /* host:port, the host an address or "localhost"; NULL: none */
    bool tcp_public;          /* tcp_addr may be one that other machines reach */
    size_t max_body;          /* bytes of one request; 0: 64 MiB */
    size_t max_bodies;        /* bytes of all bodies that are not read yet; 0: 128 MiB. At least
                               * max_body; half of it, or max_body, is what a tenant may take */
    size_t max_buffered;      /* bytes of a stream that its client has not read; 0: 16 MiB */
    size_t max_answers;       /* bytes of all answers that are not read yet (answers.h); 0: 96 MiB.
                               * Half of it is what a tenant may take */
    uint32_t max_connections; /* 0: 512; those that ask nothing make room */
    uint32_t head_ms;   /* from accepting, or the first byte, to the end of a head; 0: 10000 */
    uint32_t stall_ms;  /* in which 4 bytes a ms of a body have to come; 0: 10000 */
    uint32_t idle_s;    /* a connection on which nothing moves, and no job runs; 0: 120 */
    uint32_t request_s; /* from the first byte of a request to its last; 0: 120 */
    /* Says who sends a request, before its body is read: `tenant` is whose share of max_bodies it
     * takes. FG_EINVAL with *e filled: nobody who may. `handle` checks again. */
    int (*admit)(void *ctx, const struct fg_arrival *a, uint8_t tenant[FG_HTTP_TENANT_BYTES],
                 struct fg_http_error *e);
    /* Answers a request (request.h), now or later; `path` is decoded, without the query. */
    void (*handle)(void *ctx, struct fg_request *r, const char *path);
    /* An answer has been sent, or a connection ended: fg_http_busy() may have changed. */
    void (*quiet)(void *ctx);
    /* An error's JSON, new, for a request with that target (its first bytes; "": not known). `id`:
     * what the answer's header Request-Id says, or NULL. NULL: fg_http_error_json() for all. */
    json_t *(*error)(void *ctx, const char *target, const char *id, const struct fg_http_error *e);
    void *ctx;
};

/* Listens; connections are served while the base runs. At least one of socket_path and tcp_addr is
 * needed. The socket's directory is made (0700) when missing; the socket is 0600; a socket file
 * that nobody answers is replaced. SIGPIPE is ignored from here on when it was at its default.
 * FG_EBUSY (another daemon answers there, or the TCP port is taken), FG_EINVAL, FG_EACCESS, FG_EIO,
 * FG_ENOMEM, FG_EUNSUPPORTED (a public TCP address that may not be one). */
int fg_http_create(const struct fg_http_options *opt, struct fg_http **out, struct fg_err *err);
/* Closes every connection (kept requests are `lost`), removes the socket file if it is still ours.
 * NULL is fine. Not from inside a callback of the server. */
void fg_http_destroy(struct fg_http *http);

/* No more connections; answers say that theirs is the last. */
void fg_http_stop(struct fg_http *http);
bool fg_http_stopped(const struct fg_http *http);
/* Whether a request is being answered, or its answer is on its way. */
bool fg_http_busy(const struct fg_http *http);
/* The TCP port that was bound (tcp_addr may ask for port 0); 0 without TCP. */
uint16_t fg_http_tcp_port(const struct fg_http *http);

#endif
