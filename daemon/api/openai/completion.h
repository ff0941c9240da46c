/* Completions: each from its request to the job in the backend and back, as one answer or as a
 * stream. Loop thread. One lives until its job's last event, which may be long after its client has
 * left. */
#ifndef FG_API_COMPLETION_H
#define FG_API_COMPLETION_H

#include <event2/event.h>

#include "fulgur/error.h"

struct fg_pending_list;
struct fg_request;
struct fg_service;
struct fg_tenant;

enum fg_completion_kind {
    FG_COMPLETION_TEXT,    /* /v1/completions */
    FG_COMPLETION_CHAT,    /* /v1/chat/completions */
    FG_COMPLETION_EXPLAIN, /* a body of either, "messages" telling which; a forecast */
};

/* Those under way; they go with fg_pending_destroy(). `service` and `base` outlive them. FG_EIO,
 * FG_ENOMEM. */
int fg_completions_create(struct fg_service *service, struct event_base *base,
                          struct fg_pending_list **out, struct fg_err *err);

/* Answers a request of that kind. */
void fg_completions_start(struct fg_pending_list *all, struct fg_request *r,
                          const struct fg_tenant *tenant, enum fg_completion_kind kind);

#endif
