/* Whole answers: JSON with a status. Loop thread. Each ends the request: it is evhttp's afterwards.
 */
#ifndef FG_API_REPLY_H
#define FG_API_REPLY_H

#include <jansson.h>
#include <event2/http.h>

#include "errors.h"

struct fg_api;

/* Takes over `root`; NULL (out of memory) answers 500 without a body. A HEAD request gets the
 * headers only. */
void fg_reply_json(struct fg_api *api, struct evhttp_request *req, int status, json_t *root);
void fg_reply_error(struct fg_api *api, struct evhttp_request *req, const struct fg_api_error *e);
/* 204 with `Allow`. */
void fg_reply_options(struct fg_api *api, struct evhttp_request *req, const char *allow);

/* Adds a header to the answer that follows. */
void fg_reply_header(struct evhttp_request *req, const char *name, const char *value);
/* The headers that every answer of ours has, whole or streamed. */
void fg_reply_common(struct fg_api *api, struct evhttp_request *req, const char *type);

#endif
