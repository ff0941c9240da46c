#include "queue.h"

#include <errno.h>
#include <stddef.h>

#include "clock.h"

void fg_queue_init(struct fg_queue *q)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, &attr);
    pthread_condattr_destroy(&attr);
    q->first = NULL;
    q->last = &q->first;
    q->closed = q->woken = false;
}

void fg_queue_finish(struct fg_queue *q)
{
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
}

void fg_queue_post(struct fg_queue *q, struct fg_link *item)
{
    item->next = NULL;
    pthread_mutex_lock(&q->lock);
    *q->last = item;
    q->last = &item->next;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

void fg_queue_wake(struct fg_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->woken = true;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

void fg_queue_close(struct fg_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

static bool idle(const struct fg_queue *q)
{
    return !q->first && !q->closed && !q->woken;
}

/* The lock is held, and given back. */
static struct fg_link *take_all(struct fg_queue *q)
{
    struct fg_link *all = q->first;

    q->first = NULL;
    q->last = &q->first;
    q->woken = false;
    pthread_mutex_unlock(&q->lock);
    return all;
}

struct fg_link *fg_queue_take(struct fg_queue *q, bool wait)
{
    pthread_mutex_lock(&q->lock);
    while (wait && idle(q))
        pthread_cond_wait(&q->filled, &q->lock);
    return take_all(q);
}

struct fg_link *fg_queue_take_within(struct fg_queue *q, unsigned ms)
{
    struct timespec until = fg_clock_in_ms(ms);

    pthread_mutex_lock(&q->lock);
    while (idle(q) && pthread_cond_timedwait(&q->filled, &q->lock, &until) != ETIMEDOUT)
        ;
    return take_all(q);
}

bool fg_queue_closed(struct fg_queue *q)
{
    bool closed;

    pthread_mutex_lock(&q->lock);
    closed = q->closed;
    pthread_mutex_unlock(&q->lock);
    return closed;
}
