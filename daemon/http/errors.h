/* An error as the API answers it: the HTTP status and OpenAI's error object. Pure; any thread. */
#ifndef FG_HTTP_ERRORS_H
#define FG_HTTP_ERRORS_H

#include <stdbool.h>
#include <jansson.h>

#include "fulgur/error.h"

struct fg_http_error {
    int status;       /* HTTP */
    const char *code; /* static: model_not_found, context_length_exceeded, ...; or NULL */
    char param[96];   /* the field at fault; "" for none */
    char message[640];
};

/* Fills *e and returns FG_EINVAL. `param` and `code` may be NULL; `code` must be static. */
__attribute__((format(printf, 5, 6))) int fg_http_fail(struct fg_http_error *e, int status,
                                                       const char *param, const char *code,
                                                       const char *fmt, ...);

/* The answer to a failure that the flow reports. */
void fg_http_error_from(struct fg_http_error *e, const struct fg_err *err, bool draining);

/* The HTTP reason phrase of a status. Static, never NULL. */
const char *fg_http_reason(int status);

/* {"error":{"message","type","param","code"}}; the caller's; NULL: out of memory. Text that is not
 * UTF-8 shows U+FFFD. */
json_t *fg_http_error_json(const struct fg_http_error *e);

#endif
