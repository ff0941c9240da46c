/* The reader's thread: fetches in turn, a piece each, and calls between two pieces. */
#ifndef FG_CACHE_READER_H
#define FG_CACHE_READER_H

#include <pthread.h>
#include <stdbool.h>

#include "fulgur/error.h"

struct fg_cache;
struct fg_cache_call;
struct fg_cache_fetch;

struct fg_reader {
    pthread_mutex_t lock; /* all below */
    pthread_cond_t work;
    struct fg_cache_fetch *first, **last; /* in turn */
    struct fg_cache_fetch *now;           /* being served; in no list */
    struct fg_cache_call *calls, **calls_end;
    bool started, stop;
    pthread_t thread;
};

void fg_reader_init(struct fg_cache *c);
void fg_reader_finish(struct fg_cache *c);
int fg_reader_start(struct fg_cache *c, struct fg_err *err);
void fg_reader_stop(struct fg_cache *c); /* what is under way ends with FG_ECANCELED */
/* Runs it on the reader's thread and waits; on that thread, at once. */
void fg_reader_run(struct fg_cache *c, void (*run)(void *ctx), void *ctx);

#endif
