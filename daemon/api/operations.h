/* Operations on the store: a request to /v1/fulgur/cache/..., its operation in the backend, its
 * answer. Loop thread. One lives until its operation's last event, which may be after its client
 * has left. */
#ifndef FG_API_OPERATIONS_H
#define FG_API_OPERATIONS_H

#include <event2/event.h>

#include "fulgur/error.h"

struct fg_caller;
struct fg_pending_list;
struct fg_request;
struct fg_service;

/* Those under way; they go with fg_pending_destroy(). `service` and `base` outlive them. FG_EIO,
 * FG_ENOMEM. */
int fg_operations_create(struct fg_service *service, struct event_base *base,
                         struct fg_pending_list **out, struct fg_err *err);

/* Answers a request to `path`, one of those that routes.c sends here. */
void fg_operations_start(struct fg_pending_list *all, struct fg_request *r,
                         const struct fg_caller *caller, const char *path);

#endif
