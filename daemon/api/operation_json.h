/* Operations on the store in JSON: what a request asks for, what its result says. Pure. */
#ifndef FG_API_OPERATION_JSON_H
#define FG_API_OPERATION_JSON_H

#include <jansson.h>

#include "fulgur/str.h"
#include "http/errors.h"
#include "serve/operation.h"

enum { FG_OPERATION_ROWS = 100, FG_OPERATION_MAX_ROWS = 10000 };

/* The kind of operation behind a path; false: none. */
bool fg_operation_path_kind(const char *path, enum fg_operation_kind *kind);
/* Whether the operation takes a body of JSON. */
bool fg_operation_has_body(enum fg_operation_kind kind);
/* The object of a request, or NULL, and the text that it was parsed from. */
struct fg_operation_body {
    const json_t *json;
    struct fg_str text;
};
/* `query`: what follows the `?`, or NULL. *stream: the answer is to be a stream. out->kind and
 * out->runs_daemon are set before. FG_EINVAL with *e filled; what *out points to is the caller's in
 * every case. */
int fg_operation_request_parse(struct fg_operation_body body, const char *query,
                               const struct fg_flow_info *info, struct fg_operation_request *out,
                               bool *stream, struct fg_http_error *e);
/* The answer; the caller's; NULL: out of memory. */
json_t *fg_operation_result_json(enum fg_operation_kind kind, const struct fg_operation_result *r);

#endif
