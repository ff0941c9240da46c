/* Requests that wait for the last events of what they have asked of the backend, which may come
 * long after their clients have left. Loop thread, but for posting events. */
#ifndef FG_API_PENDING_H
#define FG_API_PENDING_H

#include <stdbool.h>
#include <sys/queue.h>

#include "http/event_queue.h"
#include "service.h"

/* One of them: the first member of what it is. */
struct fg_pending {
    TAILQ_ENTRY(fg_pending) link;
};

struct fg_pending_list {
    struct fg_service *service;
    struct event_base *base;
    TAILQ_HEAD(, fg_pending) list;
    struct fg_event_queue events; /* from the backend's threads */
    void (*stop)(struct fg_pending *p);
};

/* `deliver` gets each event, and NULL with it; `stop` has the backend end one soon. `service` and
 * `base` outlive it. FG_EIO, FG_ENOMEM. */
int fg_pending_create(struct fg_service *service, struct event_base *base,
                      void (*deliver)(void *ctx, struct fg_link *event),
                      void (*stop)(struct fg_pending *p), struct fg_pending_list **out,
                      struct fg_err *err);
/* Stops all, and waits until the backend has let go of them. The service is closing, its workers
 * are done. NULL is fine. */
void fg_pending_destroy(struct fg_pending_list *all);
bool fg_pending_any(const struct fg_pending_list *all);

#endif
