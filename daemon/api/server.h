/* The API: HTTP/1.1 on a Unix socket and, when asked for, on TCP; OpenAI's endpoints and fulgur's
 * own (docs/api.md). Everything here belongs to the thread that runs the event base, and nothing
 * blocks it but fg_api_destroy. Knows the engine as a backend only (serve/backend.h). */
#ifndef FG_API_SERVER_H
#define FG_API_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>

#include "fulgur/error.h"

struct fg_api;
struct fg_backend;

struct fg_api_options {
    struct event_base *base;          /* borrowed, outlives the API */
    const struct fg_backend *backend; /* copied; what it leads to outlives the API */
    const char *socket_path;          /* the Unix socket; NULL: none */
    const char *tcp_addr; /* host:port, the host an address or "localhost"; NULL: none */
    /* One of them is asked of TCP clients, and each is a tenant; none: tcp_addr must be loopback */
    const char *const *api_keys;
    size_t n_api_keys;
    /* Origins of web pages that may ask on TCP ("*": all), [n_cors_origins]; and other names than
     * the model's own that requests may use. These strings outlive the API. */
    const char *const *cors_origins;
    size_t n_cors_origins;
    const char *const *aliases;
    size_t n_aliases;
    bool any_model;           /* whatever name they use */
    bool keep_billing;        /* a system block that says who pays stays in the prompt */
    const char *tenant;       /* the name of the one tenant that all callers are; NULL: caller.h */
    bool tcp_operations;      /* also who does not run the daemon may change what is shared */
    const char *version;      /* shown by the status; NULL: "" */
    const char *sandbox;      /* the same: what of it is in force; NULL: not shown */
    size_t max_body;          /* bytes of one request; 0: 64 MiB */
    size_t max_bodies;        /* of all that are not read yet (http/server.h); 0: 128 MiB */
    size_t max_buffered;      /* bytes of a stream that its client has not read; 0: 16 MiB */
    size_t max_answers;       /* of all answers that are not read yet (the same); 0: 96 MiB */
    uint32_t max_connections; /* 0: 512; those that ask nothing make room */
    uint32_t head_ms;   /* from accepting, or the first byte, to the end of a head; 0: 10000 */
    uint32_t stall_ms;  /* in which 4 bytes a ms of a body have to come; 0: 10000 */
    uint32_t idle_s;    /* a connection on which nothing moves, and no job runs; 0: 120 */
    uint32_t request_s; /* from the first byte of a request to its last; 0: 120 */
};

/* Listens; connections are served while the base runs. At least one of socket_path and tcp_addr is
 * needed. The socket's directory is made (0700) when missing; the socket is 0600; a socket file
 * that nobody answers is replaced. Copies the strings. SIGPIPE is ignored from here on when it was
 * at its default. FG_EBUSY (another daemon answers there, or the TCP port is taken), FG_EINVAL,
 * FG_EACCESS, FG_EIO, FG_ENOMEM, FG_EUNSUPPORTED (a public TCP address without a key). */
int fg_api_create(const struct fg_api_options *opt, struct fg_api **out, struct fg_err *err);

/* Cancels running jobs and waits until the backend has let go of them, closes every connection,
 * removes the socket file if it is still ours. NULL is fine. Not from inside a callback of the API.
 */
void fg_api_destroy(struct fg_api *api);

/* No more connections, no more jobs (503); running ones finish. `done` is called once, from the
 * loop, when their last answer has been written or its client has left. A second call is ignored.
 */
void fg_api_drain(struct fg_api *api, void (*done)(void *ctx), void *ctx);

/* The TCP port that was bound (tcp_addr may ask for port 0); 0 without TCP. */
uint16_t fg_api_tcp_port(const struct fg_api *api);

#endif
