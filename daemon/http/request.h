/* A request that has arrived, and its answer: whole, or a stream (stream.h). Loop thread. */
#ifndef FG_HTTP_REQUEST_H
#define FG_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <jansson.h>

#include "budget.h"
#include "errors.h"

struct fg_conn;
struct fg_http;

/* A handler gets one on loan and answers it before it returns, or takes it over with
 * fg_request_keep(). */
struct fg_request {
    struct fg_conn *conn;
    struct evhttp_request *ev; /* NULL: answered, or its client has left */
    bool tcp;                  /* came by TCP, else by the Unix socket */
    bool started;              /* a stream's status and headers are out */
    int status;                /* answered with; 0: the client left first, or not yet */
    void (*lost)(void *arg);
    void (*sent)(void *arg); /* stream.h */
    void *arg;
};

/* `to` lives on until it is answered or `lost` is called: when the client leaves meanwhile. It is
 * then no longer there to be answered (ev is NULL); `lost` may also come from inside the calls that
 * send. */
void fg_request_keep(struct fg_request *to, struct fg_request *from, void (*lost)(void *arg),
                     void *arg);
/* Ends the connection at once, for an answer that cannot be completed; `lost` is called. */
void fg_request_abort(struct fg_request *r);

/* The file descriptor of its connection. */
int fg_request_fd(const struct fg_request *r);
/* Who is at its other end, for the log: `uid=1000`, or `peer=127.0.0.1`. Returns `out`. */
enum { FG_REQUEST_WHO = 64 };
const char *fg_request_who(const struct fg_request *r, char out[FG_REQUEST_WHO]);
bool fg_request_is_head(const struct fg_request *r);
enum evhttp_cmd_type fg_request_method(const struct fg_request *r);
/* The host that it names, or NULL. */
const char *fg_request_host(const struct fg_request *r);
/* A header's value, or NULL. */
const char *fg_request_header(const struct fg_request *r, const char *name);
/* What follows the `?`, or NULL. */
const char *fg_request_query(const struct fg_request *r);
size_t fg_request_body_bytes(const struct fg_request *r);
/* The body, moved, not copied, with what it holds of the budget; the caller's (fg_body_free, on any
 * thread). NULL: out of memory. */
struct fg_body *fg_request_take_body(struct fg_request *r);

/* --- whole answers; each ends the request --- */

/* Takes over `root`; NULL (out of memory) answers 500 with the error that says so. HEAD gets
 * headers only. */
void fg_reply_json(struct fg_request *r, int status, json_t *root);
/* The same for JSON that is text already (malloc'd; taken over). */
void fg_reply_text(struct fg_request *r, int status, char *body);
void fg_reply_error(struct fg_request *r, const struct fg_http_error *e);
/* The JSON that says so, as its path has it: the caller's; NULL: out of memory. */
char *fg_request_error(const struct fg_request *r, const struct fg_http_error *e);
/* 204 with `Allow`. */
void fg_reply_options(struct fg_request *r, const char *allow);
/* 200 and headers of that type alone: the answer to HEAD where the body is a stream. */
void fg_reply_head(struct fg_request *r, const char *type);

#define FG_REQUEST_ID_HEADER "Request-Id"
/* Adds a header to the answer that follows. */
void fg_reply_header(struct fg_request *r, const char *name, const char *value);
/* The headers that every answer of ours has, whole or streamed. */
void fg_reply_common(struct fg_request *r, const char *type);

#endif
