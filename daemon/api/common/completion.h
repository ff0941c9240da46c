/* Completions: each from its request to the jobs in the backend and back, as one answer or as a
 * stream, in some dialect. Loop thread. One lives until its last job's last event, which may be
 * long after its client has left. */
#ifndef FG_API_COMPLETION_H
#define FG_API_COMPLETION_H

#include <event2/event.h>

#include "fulgur/error.h"
#include "serve/job.h"

struct fg_dialect;
struct fg_pending_list;
struct fg_request;
struct fg_service;

/* Those under way; they go with fg_pending_destroy(). `service` and `base` outlive them. FG_EIO,
 * FG_ENOMEM. */
int fg_completions_create(struct fg_service *service, struct event_base *base,
                          struct fg_pending_list **out, struct fg_err *err);

/* Answers a request. */
void fg_completions_start(struct fg_pending_list *all, struct fg_request *r,
                          const struct fg_tenant *tenant, const struct fg_dialect *dialect);

/* What a request has to do with the cache: none, read or read_write. FG_EINVAL: none of these. */
int fg_api_cache_use(const char *name, enum fg_cache_use *use);

#endif
