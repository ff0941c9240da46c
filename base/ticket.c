#include "ticket.h"

#include <string.h>

#include "queue.h"

void fg_ticket_init(struct fg_ticket *t, struct fg_queue *wake)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->ended, NULL);
    t->wake = wake;
}

void fg_ticket_finish(struct fg_ticket *t)
{
    pthread_cond_destroy(&t->ended);
    pthread_mutex_destroy(&t->lock);
}

void fg_ticket_begin(struct fg_ticket *t)
{
    pthread_mutex_lock(&t->lock);
    t->under_way = true;
    t->done = false;
    t->rc = 0;
    t->err = (struct fg_err){0};
    pthread_mutex_unlock(&t->lock);
}

void fg_ticket_end(struct fg_ticket *t, int rc, const struct fg_err *err)
{
    struct fg_queue *wake = t->wake;

    pthread_mutex_lock(&t->lock);
    t->rc = rc;
    if (err)
        t->err = *err;
    t->err.code = rc;
    t->under_way = false;
    t->done = true;
    pthread_cond_broadcast(&t->ended);
    pthread_mutex_unlock(&t->lock);
    if (wake)
        fg_queue_wake(wake);
}

bool fg_ticket_pending(struct fg_ticket *t)
{
    bool pending;

    pthread_mutex_lock(&t->lock);
    pending = t->under_way;
    pthread_mutex_unlock(&t->lock);
    return pending;
}

int fg_ticket_wait(struct fg_ticket *t, struct fg_err *err)
{
    int rc;

    pthread_mutex_lock(&t->lock);
    while (t->under_way)
        pthread_cond_wait(&t->ended, &t->lock);
    rc = t->rc;
    if (rc && err)
        *err = t->err;
    pthread_mutex_unlock(&t->lock);
    return rc;
}
