/* A ticket: something under way that its owner does not wait for: a submission to the device, a
 * transfer, a read of the store. Whoever does the work ends it once, from any thread; the owner is
 * told by its queue (queue.h) waking up, or asks, or waits.
 *
 * The memory is the owner's, from fg_ticket_init() to fg_ticket_finish(), and must outlive the work.
 * The queue must outlive fg_ticket_end(), which wakes it last: the owner may see the ticket ended,
 * and have finished it, before that returns. */
#ifndef FG_BASE_TICKET_H
#define FG_BASE_TICKET_H

#include <pthread.h>
#include <stdbool.h>

#include "fulgur/error.h"

struct fg_queue;

struct fg_ticket {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool under_way, done; /* neither: not begun; under the lock */
    int rc;               /* of the work, once done */
    struct fg_err err;
    struct fg_queue *wake; /* woken at the end; or NULL */
};

/* wake: the queue that the owner's thread sleeps on, or NULL. */
void fg_ticket_init(struct fg_ticket *t, struct fg_queue *wake);
/* No work may be under way. */
void fg_ticket_finish(struct fg_ticket *t);

/* The work begins: the ticket is as new. By the one who starts it. */
void fg_ticket_begin(struct fg_ticket *t);
/* The work has ended with rc; err (may be NULL) is copied. By the one who did it; the ticket may be
 * gone when this returns. */
void fg_ticket_end(struct fg_ticket *t, int rc, const struct fg_err *err);

/* Under way and not ended. */
bool fg_ticket_pending(struct fg_ticket *t);
/* Waits while it is pending; then its rc, and its error into *err (may be NULL). A ticket that was
 * never begun gives 0 at once. */
int fg_ticket_wait(struct fg_ticket *t, struct fg_err *err);

#endif
