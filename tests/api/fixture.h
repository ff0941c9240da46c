/* The API on a fake backend, in a thread of its own, and a plain HTTP client to drive it. */
#ifndef FG_TEST_API_FIXTURE_H
#define FG_TEST_API_FIXTURE_H

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "api/server.h"
#include "fake_backend.h"

struct fixture {
    struct fake_backend *backend;
    struct fg_backend table;
    struct fg_api *api;
    struct event_base *base;
    struct event *command;
    pthread_t thread;
    sem_t drained;
    int command_fd[2];
    char *dir, path[96];
    uint16_t port;
};

/* Fields of `api` that are not set get defaults: the Unix socket of a new directory. */
void fixture_start(struct fixture *f, const struct fake_options *fake,
                   const struct fg_api_options *api);
void fixture_stop(struct fixture *f);
void fixture_drain(struct fixture *f); /* begins to drain; posts f->drained when done */

struct client {
    int fd;
    char *buf; /* received and not used yet */
    size_t n, room;
};

struct reply {
    int status;
    char *head; /* status line and headers */
    char *body;
    size_t bytes;
};

void client_unix(struct client *c, const struct fixture *f);
void client_tcp(struct client *c, const struct fixture *f);
/* The same; its end of the socket holds `receive` bytes at most. */
void client_tcp_small(struct client *c, const struct fixture *f, int receive);
void client_close(struct client *c);
/* Sends it all; false when the peer has gone. */
bool client_send(struct client *c, const void *bytes, size_t n);
void client_post(struct client *c, const char *path, const char *body);
void client_get(struct client *c, const char *path);
/* Reads a whole answer (without a body after HEAD). */
void client_read(struct client *c, struct reply *r, bool head);
void client_read_line(struct client *c, char line[128]); /* with its CRLF */
void client_read_head(struct client *c, struct reply *r);
/* The next chunk of a chunked answer, NUL-terminated, the caller's; NULL: the last has come. */
char *client_chunk(struct client *c);
/* The JSON of the next SSE chunk, the caller's; NULL after [DONE], whose end is read as well. */
json_t *client_event(struct client *c);
bool client_at_end(struct client *c); /* blocks until the peer closes or sends */
void reply_free(struct reply *r);
json_t *reply_json(const struct reply *r); /* the caller's */
/* The value of a header, "" when absent. */
const char *reply_header(const struct reply *r, const char *name, char out[128]);

/* One request on a new connection to the Unix socket. */
json_t *ask(const struct fixture *f, const char *method, const char *path, const char *body,
            int status);
/* error.message of an error object. */
const char *error_message(const json_t *v);
/* error.code, or NULL. */
const char *error_code(const json_t *v);
/* Posts a body on a connection of its own; the job that it makes. */
struct fg_job *fixture_post(struct fixture *f, struct client *c, const char *path,
                            const char *body);
/* Reads a whole answer, which is JSON with 200, and closes the connection. */
json_t *client_answer(struct client *c);
/* Reads a whole answer, which has this status. */
void client_expect(struct client *c, int status);
/* json_unpack that must succeed. */
#define unpack(v, ...) assert_int_equal(json_unpack(v, __VA_ARGS__), 0)

#endif
