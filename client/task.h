/* Operations on the daemon's store that may take their time: streams of progress with one result.
 */
#ifndef FG_CLIENT_TASK_H
#define FG_CLIENT_TASK_H

#include "http.h"
#include "json.h"

/* POSTs `fields` (taken over; NULL: out of memory) with "stream" to `path`, tells `progress` (may
 * be NULL; other than 0 ends the call with FG_ECANCELED) and gives the result's object, the
 * caller's to json_decref(). */
int fg_client_task(struct fg_client *client, const char *path, json_t *fields,
                   int (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
                   json_t **result, struct fg_err *err);
/* The same with a body of any bytes; `path` asks for the stream. */
int fg_client_task_bytes(struct fg_client *client, const char *path, const void *body, size_t bytes,
                         int (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
                         json_t **result, struct fg_err *err);

#endif
