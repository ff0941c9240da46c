/* Bodies of requests. */
#ifndef FG_API_BODY_H
#define FG_API_BODY_H

#include <event2/buffer.h>
#include <jansson.h>

#include "http/errors.h"

/* The JSON object in a body, the caller's. FG_EINVAL with *e filled. Joins the body's pieces and
 * parses: where it is large, on a worker. */
int fg_body_parse(struct evbuffer *body, json_t **out, struct fg_http_error *e);

#endif
