/* Bodies of requests. */
#ifndef FG_API_BODY_H
#define FG_API_BODY_H

#include <jansson.h>

#include "base/buffer.h"
#include "fulgur/str.h"
#include "http/budget.h"
#include "http/errors.h"

struct fg_job_request;

/* The JSON object in a body, the caller's. FG_EINVAL with *e filled: there may be no room for it
 * beside others (503). Joins the body's pieces and parses: where it is large, on a worker. What the
 * object takes is held by body->made, so it is to be freed before the body is. */
int fg_body_parse(struct fg_body *body, json_t **out, struct fg_http_error *e);

/* Puts other text in the place of the body's, which is freed, and of *json, which it is parsed
 * from anew. Takes over the buffer's memory. FG_EINVAL with *e filled: *json is NULL then. */
int fg_body_rewrite(struct fg_body *body, struct fg_buffer *text, json_t **json,
                    struct fg_http_error *e);

/* The text that was parsed; the body's. */
struct fg_str fg_body_text(struct fg_body *body);

/* Holds n bytes more for what is made of the body. FG_EINVAL with *e filled (503). */
int fg_body_charge(struct fg_body *body, size_t n, struct fg_http_error *e);

/* Adds n bytes of the body's budget to a hold of the caller's own, which may outlive the body:
 * fg_hold_release(). FG_EINVAL with *e filled (503). */
int fg_body_hold(const struct fg_body *body, struct fg_hold *hold, size_t n,
                 struct fg_http_error *e);

/* Bytes of the texts and tokens that a request was made with. */
size_t fg_body_texts(const struct fg_job_request *job);

/* Frees the body. What the texts of `job`, which were made of it, and `n` bytes beside them take
 * goes on being held, until the job frees its texts; NULL: there is no such job. */
void fg_body_pass(struct fg_body *body, struct fg_job_request *job, size_t n);

#endif
