/* The reader's thread: fetches in turn, a piece each, and calls between two pieces. */
#include "reader.h"
#include "handle.h"
#include "read.h"

#include <signal.h>
#include <string.h>

#include "base/blob.h"
#include "guard.h"

void fg_reader_init(struct fg_cache *c)
{
    struct fg_reader *r = &c->reader;

    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    r->last = &r->first;
    r->calls_end = &r->calls;
}

void fg_reader_finish(struct fg_cache *c)
{
    pthread_cond_destroy(&c->reader.work);
    pthread_mutex_destroy(&c->reader.lock);
}

/* lock held */
static void append(struct fg_reader *r, struct fg_cache_fetch *f)
{
    f->next = NULL;
    *r->last = f;
    r->last = &f->next;
}

/* The lock is not held. Without its blob it is a miss. */
static void end_fetch(struct fg_cache_fetch *f, int rc, const struct fg_err *err)
{
    if (rc) {
        fg_blob_unref(f->blob);
        f->blob = NULL;
    }
    fg_ticket_end(&f->ticket, rc, err);
}

static void end_canceled(struct fg_cache_fetch *f)
{
    struct fg_err err;

    fg_fail(&err, FG_ECANCELED, "the fetch was canceled");
    end_fetch(f, FG_ECANCELED, &err);
}

void fg_cache_fetch(struct fg_cache *c, struct fg_cache_fetch *f)
{
    struct fg_reader *r = &c->reader;

    f->blob = NULL;
    f->canceled = false;
    f->pieces = 0;
    fg_ticket_begin(&f->ticket);
    pthread_mutex_lock(&r->lock);
    append(r, f);
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
}

void fg_cache_fetch_cancel(struct fg_cache *c, struct fg_cache_fetch *f)
{
    struct fg_reader *r = &c->reader;
    struct fg_cache_fetch **at;
    bool waiting;

    pthread_mutex_lock(&r->lock);
    for (at = &r->first; *at && *at != f; at = &(*at)->next)
        ;
    waiting = *at == f;
    if (waiting) {
        *at = f->next;
        if (!f->next)
            r->last = at;
    } else if (r->now == f) {
        f->canceled = true;
    }
    pthread_mutex_unlock(&r->lock);
    if (waiting)
        end_canceled(f);
}

int fg_cache_get(struct fg_cache *c, struct fg_cache_fetch *f, struct fg_err *err)
{
    int rc;

    fg_ticket_init(&f->ticket, NULL);
    fg_cache_fetch(c, f);
    rc = fg_ticket_wait(&f->ticket, err);
    fg_ticket_finish(&f->ticket);
    return rc;
}

void fg_cache_on_reader(struct fg_cache *c, struct fg_cache_call *call)
{
    struct fg_reader *r = &c->reader;

    fg_ticket_begin(&call->ticket);
    call->next = NULL;
    pthread_mutex_lock(&r->lock);
    *r->calls_end = call;
    r->calls_end = &call->next;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
}

void fg_reader_run(struct fg_cache *c, void (*run)(void *ctx), void *ctx)
{
    struct fg_cache_call call = {.run = run, .ctx = ctx};

    if (pthread_equal(pthread_self(), c->reader.thread)) {
        run(ctx);
        return;
    }
    fg_ticket_init(&call.ticket, NULL);
    fg_cache_on_reader(c, &call);
    fg_ticket_wait(&call.ticket, NULL);
    fg_ticket_finish(&call.ticket);
}

/* lock held, and held again after. */
static void run_calls(struct fg_reader *r)
{
    while (r->calls) {
        struct fg_cache_call *call = r->calls;

        r->calls = call->next;
        if (!r->calls)
            r->calls_end = &r->calls;
        pthread_mutex_unlock(&r->lock);
        call->run(call->ctx);
        fg_ticket_end(&call->ticket, 0, NULL);
        pthread_mutex_lock(&r->lock);
    }
}

/* lock held, and held again after. */
static void serve_first(struct fg_cache *c, struct fg_reader *r)
{
    struct fg_cache_fetch *f = r->first;
    struct fg_err err = {0};
    int rc;

    r->first = f->next;
    if (!r->first)
        r->last = &r->first;
    r->now = f;
    pthread_mutex_unlock(&r->lock);
    rc = fg_read_piece(c, f, &err);
    pthread_mutex_lock(&r->lock);
    r->now = NULL;
    if (rc == FG_READ_MORE && !f->canceled) {
        append(r, f);
        return;
    }
    pthread_mutex_unlock(&r->lock);
    if (rc == FG_READ_MORE)
        end_canceled(f);
    else
        end_fetch(f, rc, &err);
    pthread_mutex_lock(&r->lock);
}

static void *reader_main(void *arg)
{
    struct fg_cache *c = arg;
    struct fg_reader *r = &c->reader;

    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        run_calls(r);
        if (r->first)
            serve_first(c, r);
        else if (!r->stop && !r->calls)
            pthread_cond_wait(&r->work, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

int fg_reader_start(struct fg_cache *c, struct fg_err *err)
{
    sigset_t all, old;
    int e;

    /* Signals are the main thread's, but for the guard's, which are about this one. */
    sigfillset(&all);
    fg_guard_unblock(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    e = pthread_create(&c->reader.thread, NULL, reader_main, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e)
        return fg_fail(err, FG_ENOMEM, "cannot start the cache reader: %s", strerror(e));
    c->reader.started = true;
    return 0;
}

void fg_reader_stop(struct fg_cache *c)
{
    struct fg_reader *r = &c->reader;
    struct fg_cache_fetch *f;
    struct fg_cache_call *call;

    if (!r->started)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    r->started = false;
    while ((f = r->first)) {
        r->first = f->next;
        end_canceled(f);
    }
    while ((call = r->calls)) {
        struct fg_err err;

        r->calls = call->next;
        fg_fail(&err, FG_ECANCELED, "the cache is closed");
        fg_ticket_end(&call->ticket, FG_ECANCELED, &err);
    }
}
