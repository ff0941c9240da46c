/* What other threads hand to the event loop: a queue (base/queue.h) whose items wake the loop. */
#ifndef FG_HTTP_EVENT_QUEUE_H
#define FG_HTTP_EVENT_QUEUE_H

#include <event2/event.h>

#include "base/queue.h"
#include "fulgur/error.h"

struct fg_event_queue {
    struct fg_queue items;
    pthread_mutex_t lock; /* an item and its wake-up are one step, for whoever takes the last one */
    int wake_fd;          /* readable while items wait; -1: not in use */
    struct event *readable;
    void (*deliver)(void *ctx, struct fg_link *item);
    void *ctx;
};

/* `deliver` is called on the loop for each item, which is its to free. FG_EIO, FG_ENOMEM; on
 * failure *q needs no finish. The loop's thread, as are the others but post. */
int fg_event_queue_init(struct fg_event_queue *q, struct event_base *base, struct fg_err *err);
/* It must be empty, and nobody about to post. Zeroes and wake_fd -1 are fine. */
void fg_event_queue_finish(struct fg_event_queue *q);
/* Hands an item over; never waits for the loop. Any thread. */
void fg_event_queue_post(struct fg_event_queue *q, struct fg_link *item);
/* Delivers at least one item, waiting for it: for the end, when the loop no longer runs. */
void fg_event_queue_wait(struct fg_event_queue *q);

#endif
