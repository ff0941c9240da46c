/* Bodies of requests. */
#ifndef FG_API_BODY_H
#define FG_API_BODY_H

#include <jansson.h>

#include "http/budget.h"
#include "http/errors.h"

/* The JSON object in a body, the caller's. FG_EINVAL with *e filled. Joins the body's pieces and
 * parses: where it is large, on a worker. */
int fg_body_parse(struct fg_body *body, json_t **out, struct fg_http_error *e);

#endif
