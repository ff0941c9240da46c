#include "gate.h"

void gate_init(struct gate *g)
{
    *g = (struct gate){.allowed = 0};
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->change, NULL);
}

void gate_finish(struct gate *g)
{
    pthread_cond_destroy(&g->change);
    pthread_mutex_destroy(&g->lock);
}

void gate_hold(void *gate, uint64_t step)
{
    struct gate *g = gate;

    pthread_mutex_lock(&g->lock);
    g->reached = step;
    pthread_cond_broadcast(&g->change);
    while (g->allowed < step)
        pthread_cond_wait(&g->change, &g->lock);
    if (g->cancel && step == g->cancel_at)
        fg_job_cancel(g->cancel);
    pthread_mutex_unlock(&g->lock);
}

void gate_allow(struct gate *g, uint64_t step)
{
    pthread_mutex_lock(&g->lock);
    g->allowed = step;
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->lock);
}

void gate_wait(struct gate *g, uint64_t step)
{
    pthread_mutex_lock(&g->lock);
    while (g->reached < step)
        pthread_cond_wait(&g->change, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

uint64_t gate_reached(struct gate *g)
{
    uint64_t reached;

    pthread_mutex_lock(&g->lock);
    reached = g->reached;
    pthread_mutex_unlock(&g->lock);
    return reached;
}

static void stand_still(void *ctx)
{
    struct reader_hold *h = ctx;

    sem_post(h->stands);
    sem_wait(&h->go);
}

void reader_hold(struct reader_hold *h, struct fg_cache *cache, sem_t *stands)
{
    h->stands = stands;
    h->call = (struct fg_cache_call){.run = stand_still, .ctx = h};
    sem_init(&h->go, 0, 0);
    fg_ticket_init(&h->call.ticket, NULL);
    fg_cache_on_reader(cache, &h->call);
}

void reader_let_go(struct reader_hold *h)
{
    sem_post(&h->go);
    fg_ticket_wait(&h->call.ticket, NULL);
    fg_ticket_finish(&h->call.ticket);
    sem_destroy(&h->go);
}
