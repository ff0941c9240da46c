/* Operations on the store: a request to /v1/fulgur/cache/..., its operation in the backend, its
 * answer. Loop thread. One lives until its operation's last event, which may be after its client
 * has left. */
#ifndef FG_API_OPERATIONS_H
#define FG_API_OPERATIONS_H

#include <stdbool.h>
#include <event2/event.h>

#include "fulgur/error.h"

struct fg_caller;
struct fg_operations; /* those under way; opaque */
struct fg_request;
struct fg_service;

/* `service` and `base` outlive it. FG_EIO, FG_ENOMEM. */
int fg_operations_create(struct fg_service *service, struct event_base *base,
                         struct fg_operations **out, struct fg_err *err);
/* Stops all, and waits until the backend has let go of them. The service is closing, its workers
 * are done. NULL is fine. */
void fg_operations_destroy(struct fg_operations *all);
bool fg_operations_any(const struct fg_operations *all);

/* Answers a request to `path`, one of those that routes.c sends here. */
void fg_operations_start(struct fg_operations *all, struct fg_request *r,
                         const struct fg_caller *caller, const char *path);

#endif
