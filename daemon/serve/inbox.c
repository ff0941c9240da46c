#include "inbox.h"

#include <stddef.h>

#include "parts.h"

void fg_inbox_init(struct fg_inbox *b)
{
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->filled, NULL);
    b->first = b->last = NULL;
    b->closed = false;
}

void fg_inbox_finish(struct fg_inbox *b)
{
    pthread_cond_destroy(&b->filled);
    pthread_mutex_destroy(&b->lock);
}

void fg_inbox_post(struct fg_inbox *b, struct fg_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&b->lock);
    if (b->last)
        b->last->next = job;
    else
        b->first = job;
    b->last = job;
    pthread_cond_signal(&b->filled);
    pthread_mutex_unlock(&b->lock);
}

void fg_inbox_wake(struct fg_inbox *b)
{
    pthread_mutex_lock(&b->lock);
    b->woken = true;
    pthread_cond_signal(&b->filled);
    pthread_mutex_unlock(&b->lock);
}

void fg_inbox_close(struct fg_inbox *b)
{
    pthread_mutex_lock(&b->lock);
    b->closed = true;
    pthread_cond_signal(&b->filled);
    pthread_mutex_unlock(&b->lock);
}

struct fg_job *fg_inbox_take(struct fg_inbox *b, bool wait)
{
    struct fg_job *jobs;

    pthread_mutex_lock(&b->lock);
    while (wait && !b->first && !b->closed && !b->woken)
        pthread_cond_wait(&b->filled, &b->lock);
    jobs = b->first;
    b->first = b->last = NULL;
    b->woken = false;
    pthread_mutex_unlock(&b->lock);
    return jobs;
}

bool fg_inbox_closed(struct fg_inbox *b)
{
    bool closed;

    pthread_mutex_lock(&b->lock);
    closed = b->closed;
    pthread_mutex_unlock(&b->lock);
    return closed;
}
