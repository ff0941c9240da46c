#include "workers.h"

#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "event_queue.h"

enum { THREADS = 3, TRIMS_FOR_S = 256 };

/* How many of a kind run at a time; what is huge counts as slow as well. */
static const unsigned most[FG_WORK_KINDS] = {THREADS, 1, THREADS - 1, 1};

struct list {
    struct fg_link *first, **last;
};

struct fg_workers {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t filled;
    struct list waiting[FG_WORK_KINDS];
    unsigned running[FG_WORK_KINDS];
    bool closed;

    pthread_t threads[THREADS];
    unsigned n_threads;
    struct fg_event_queue done;
    /* The loop's. */
    unsigned n_posted; /* and not done */
    struct event *turn;
    unsigned rested; /* seconds since something slow was posted */
    bool trims;      /* the next turn is awaited, or a trim is posted */
    struct fg_work trim;
};

static void append(struct list *l, struct fg_link *item)
{
    item->next = NULL;
    *l->last = item;
    l->last = &item->next;
}

static struct fg_work *take_first(struct list *l)
{
    struct fg_link *item = l->first;

    if (item)
        l->first = item->next;
    if (!l->first)
        l->last = &l->first;
    return (struct fg_work *)item;
}

static bool has_room(const struct fg_workers *ws, enum fg_work_kind kind)
{
    unsigned slow = ws->running[FG_WORK_SLOW] + ws->running[FG_WORK_HUGE];

    return ws->running[kind] < most[kind] && (kind < FG_WORK_SLOW || slow < most[FG_WORK_SLOW]);
}

/* Under the lock. */
static struct fg_work *take(struct fg_workers *ws, enum fg_work_kind *kind)
{
    static const enum fg_work_kind order[] = {FG_WORK_HUGE, FG_WORK_SLOW, FG_WORK_BODY,
                                              FG_WORK_QUICK};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        struct fg_work *w = has_room(ws, order[i]) ? take_first(&ws->waiting[order[i]]) : NULL;

        *kind = order[i];
        if (w)
            return w;
    }
    return NULL;
}

static void *work_main(void *arg)
{
    struct fg_workers *ws = arg;
    enum fg_work_kind kind;
    struct fg_work *w;

    pthread_mutex_lock(&ws->lock);
    for (;;) {
        bool run;

        while (!(w = take(ws, &kind)) && !ws->closed)
            pthread_cond_wait(&ws->filled, &ws->lock);
        if (!w)
            break;
        run = !ws->closed;
        ws->running[kind]++;
        pthread_mutex_unlock(&ws->lock);
        if (run)
            w->run(w);
        fg_event_queue_post(&ws->done, &w->link);
        pthread_mutex_lock(&ws->lock);
        ws->running[kind]--;
        pthread_cond_signal(&ws->filled); /* the next of its kind may have waited for this one */
    }
    pthread_mutex_unlock(&ws->lock);
    return NULL;
}

/* What large texts were made to lies in small pieces, of which allocators keep most when they are
 * freed. It takes milliseconds for each 100 MB: not on the loop. */
static void run_trim(struct fg_work *work)
{
    (void)work;
    (void)malloc_trim(0);
}

static void await_turn(struct fg_workers *ws)
{
    const struct timeval tv = {.tv_sec = 1};

    ws->trims = ws->rested < TRIMS_FOR_S && event_add(ws->turn, &tv) == 0;
}

static void trimmed(struct fg_work *work)
{
    await_turn((struct fg_workers *)((char *)work - offsetof(struct fg_workers, trim)));
}

static void post(struct fg_workers *ws, struct fg_work *work, enum fg_work_kind kind)
{
    ws->n_posted++;
    pthread_mutex_lock(&ws->lock);
    append(&ws->waiting[kind], &work->link);
    pthread_cond_signal(&ws->filled);
    pthread_mutex_unlock(&ws->lock);
}

/* 1, 2, 4 ... 256 s later: texts become tokens and answers on other threads meanwhile. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct fg_workers *ws = arg;

    (void)fd;
    (void)what;
    ws->rested++;
    if (ws->rested & (ws->rested - 1))
        await_turn(ws);
    else
        post(ws, &ws->trim, FG_WORK_SLOW);
}

static void on_done(void *ctx, struct fg_link *item)
{
    struct fg_workers *ws = ctx;
    struct fg_work *w = (struct fg_work *)item;

    ws->n_posted--;
    w->done(w);
}

int fg_workers_create(struct event_base *base, struct fg_workers **out, struct fg_err *err)
{
    struct fg_workers *ws = calloc(1, sizeof *ws);
    int rc;

    *out = NULL;
    if (!ws)
        return fg_fail(err, FG_ENOMEM, "no memory for the API's workers");
    pthread_mutex_init(&ws->lock, NULL);
    pthread_cond_init(&ws->filled, NULL);
    for (int i = 0; i < FG_WORK_KINDS; i++)
        ws->waiting[i].last = &ws->waiting[i].first;
    ws->done.deliver = on_done;
    ws->done.ctx = ws;
    ws->trim = (struct fg_work){.run = run_trim, .done = trimmed};
    rc = fg_event_queue_init(&ws->done, base, err);
    ws->turn = rc ? NULL : evtimer_new(base, on_turn, ws);
    if (rc == 0 && !ws->turn)
        rc = fg_fail(err, FG_ENOMEM, "no memory for the API's workers");
    while (rc == 0 && ws->n_threads < THREADS) {
        if (pthread_create(&ws->threads[ws->n_threads], NULL, work_main, ws) == 0)
            ws->n_threads++;
        else
            rc = fg_fail(err, FG_ENOMEM, "the API's workers cannot be started");
    }
    if (rc)
        fg_workers_destroy(ws);
    else
        *out = ws;
    return rc;
}

void fg_workers_destroy(struct fg_workers *ws)
{
    if (!ws)
        return;
    pthread_mutex_lock(&ws->lock);
    ws->closed = true;
    pthread_cond_broadcast(&ws->filled);
    pthread_mutex_unlock(&ws->lock);
    while (ws->n_posted)
        fg_event_queue_wait(&ws->done);
    for (unsigned i = 0; i < ws->n_threads; i++)
        pthread_join(ws->threads[i], NULL);
    if (ws->turn)
        event_free(ws->turn);
    fg_event_queue_finish(&ws->done);
    pthread_cond_destroy(&ws->filled);
    pthread_mutex_destroy(&ws->lock);
    free(ws);
}

void fg_workers_post(struct fg_workers *ws, struct fg_work *work, enum fg_work_kind kind)
{
    if (kind != FG_WORK_QUICK)
        ws->rested = 0;
    if (kind != FG_WORK_QUICK && !ws->trims)
        await_turn(ws);
    post(ws, work, kind);
}

void fg_workers_do(struct fg_work *work)
{
    work->run(work);
    work->done(work);
}
