/* A queue: things handed from any thread to one, in order, without copies: each begins with a link.
 * The owner's thread sleeps on it; tickets (ticket.h) wake it too. */
#ifndef FG_BASE_QUEUE_H
#define FG_BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

/* The first member of whatever is posted. */
struct fg_link {
    struct fg_link *next;
};

struct fg_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct fg_link *first, **last;
    bool closed, woken;
};

void fg_queue_init(struct fg_queue *q);
void fg_queue_finish(struct fg_queue *q);
/* Never blocks for long; any thread. */
void fg_queue_post(struct fg_queue *q, struct fg_link *item);
/* Has the owner return from waiting once, with or without items; any thread. */
void fg_queue_wake(struct fg_queue *q);
/* No more posts will come; any thread. */
void fg_queue_close(struct fg_queue *q);
/* All that is there, oldest first. With `wait`, sleeps until there is something, or the queue is
 * closed or woken; NULL then means empty. The owner's thread. */
struct fg_link *fg_queue_take(struct fg_queue *q, bool wait);
/* The same, sleeping at most `ms` milliseconds of CLOCK_MONOTONIC. */
struct fg_link *fg_queue_take_within(struct fg_queue *q, unsigned ms);
bool fg_queue_closed(struct fg_queue *q);

#endif
