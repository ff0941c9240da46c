/* A completion's request as the daemon's API wants it. */
#ifndef FG_CLIENT_REQUEST_H
#define FG_CLIENT_REQUEST_H

#include <stdbool.h>

#include "fulgur/client.h"

/* Checks the request and writes it as JSON: to malloc'd *body, the caller's, for *path (static).
 * FG_EINVAL names the field; FG_ENOMEM. */
int fg_client_request_write(const struct fg_client_request *r, bool progress, const char **path,
                            char **body, struct fg_err *err);

#endif
