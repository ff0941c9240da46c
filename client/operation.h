/* Operations on the daemon's store that may take their time: streams of progress with one result.
 */
#ifndef FG_CLIENT_OPERATION_H
#define FG_CLIENT_OPERATION_H

#include "http.h"
#include "json.h"

/* POSTs `fields` (taken over; NULL: out of memory) with "stream" to `path`, tells `watch` (may be
 * NULL) and gives the result's object, the caller's to json_decref(). */
int fg_client_operation(struct fg_client *client, const char *path, json_t *fields,
                        const struct fg_client_watch *watch, json_t **result, struct fg_err *err);

/* The same with a body of any bytes. */
struct fg_client_upload {
    const char *path; /* asks for the stream */
    const void *body;
    size_t bytes;
};
int fg_client_operation_upload(struct fg_client *client, const struct fg_client_upload *upload,
                               const struct fg_client_watch *watch, json_t **result,
                               struct fg_err *err);

#endif
