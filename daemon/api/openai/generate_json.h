/* The body of /inference/v1/generate (tokens in, tokens out, as vLLM has it) as one of
 * /v1/completions. */
#ifndef FG_API_GENERATE_JSON_H
#define FG_API_GENERATE_JSON_H

#include <jansson.h>

#include "http/errors.h"

/* Puts the members of `sampling_params` beside the others. *body is another object then;
 * *request_id is the caller's (free), NULL where there is none. FG_EINVAL with *e filled. Any
 * thread. */
int fg_generate_body(json_t **body, char **request_id, struct fg_http_error *e);

#endif
