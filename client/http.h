/* The handle, and one HTTP exchange on it. */
#ifndef FG_CLIENT_HTTP_H
#define FG_CLIENT_HTTP_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "fulgur/client.h"

struct fg_client {
    CURLM *multi; /* owns the open connections; what fg_client_cancel() wakes */
    CURL *easy;
    struct curl_slist *headers;
    char *socket;                                                 /* or NULL */
    bool shared;                                                  /* fg_client_socket_is_shared() */
    int fd;                                                       /* of the last connection to it */
    char *base;                                                   /* the URL up to the path */
    char *address;                                                /* for messages */
    int64_t connect_timeout_ms, call_timeout_ms, idle_timeout_ms; /* negative: none */
    atomic_bool canceled;
};

/* The largest answer that is kept as a whole: the ids of a 64 MiB document. */
#define FG_CLIENT_ANSWER_MAX ((size_t)256 << 20)

struct fg_client_exchange {
    const char *path; /* "/v1/..." */
    const char *body; /* JSON to POST, or NULL: GET */
    size_t body_bytes;
    /* Receives a 200's body as it arrives, which must be of `type`; a return other than 0
     * ends the exchange with that value, `err` being the sink's to fill. NULL: it is kept. */
    int (*sink)(void *ctx, const char *bytes, size_t n);
    void *ctx;
    const char *type; /* of what the sink receives; NULL: text/event-stream */
    /* Written by the exchange: the HTTP status, and the body that no sink received. The caller
     * frees answer.p in every case. */
    long status;
    struct fg_buffer answer;
};

/* Whether anybody may make files beside the socket, or directories beside its own, as in /tmp. Who
 * listens there is then asked of the kernel before anything is sent. */
bool fg_client_socket_is_shared(const char *path);

/* Runs the exchange to its end. 0 whatever the status; FG_ECANCELED, FG_ENOTFOUND, FG_EACCESS,
 * FG_EIO, FG_EFORMAT (not HTTP, or not an event stream), FG_EFULL, FG_ENOMEM, or what the sink
 * returned. */
int fg_client_exchange_run(struct fg_client *client, struct fg_client_exchange *x,
                           struct fg_err *err);

/* The error for an answer whose status is not 200: the daemon's own line where it sent one. Never
 * 0. */
int fg_client_refusal(const struct fg_client *client, long status, const char *body, size_t bytes,
                      struct fg_err *err);
/* The same for an error object inside a stream. `root` holds "error". */
int fg_client_stream_error(const json_t *root, struct fg_err *err);

/* An exchange whose answer is one JSON object, whatever it is when status is 200. body: malloc'd by
 * jansson, or NULL to GET; freed in every case. *root is the caller's to json_decref(). */
int fg_client_call(struct fg_client *client, const char *path, char *body, json_t **root,
                   struct fg_err *err);

#endif
