#include "pending.h"

#include <stdlib.h>

int fg_pending_create(struct fg_service *service, struct event_base *base,
                      void (*deliver)(void *ctx, struct fg_link *event),
                      void (*stop)(struct fg_pending *p), struct fg_pending_list **out,
                      struct fg_err *err)
{
    struct fg_pending_list *all = calloc(1, sizeof *all);
    int rc;

    *out = NULL;
    if (!all)
        return fg_fail(err, FG_ENOMEM, "no memory for the requests under way");
    all->service = service;
    all->base = base;
    all->stop = stop;
    TAILQ_INIT(&all->list);
    all->events.deliver = deliver;
    rc = fg_event_queue_init(&all->events, base, err);
    if (rc)
        free(all);
    else
        *out = all;
    return rc;
}

void fg_pending_destroy(struct fg_pending_list *all)
{
    struct fg_pending *p;

    if (!all)
        return;
    /* The backend still holds pointers to these; it lets go of each within one chunk of work. */
    TAILQ_FOREACH(p, &all->list, link)
    all->stop(p);
    while (!TAILQ_EMPTY(&all->list))
        fg_event_queue_wait(&all->events);
    fg_event_queue_finish(&all->events);
    free(all);
}

bool fg_pending_any(const struct fg_pending_list *all)
{
    return !TAILQ_EMPTY(&all->list);
}
