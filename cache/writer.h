/* The writer's thread. */
#ifndef FG_CACHE_WRITER_H
#define FG_CACHE_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "retry.h"

struct fg_batch;
struct fg_cache;

/* What has not been told yet that the store was replaced (fg_store_replaced()). */
enum { FG_UNTOLD_FORGET = 1, FG_UNTOLD_COMPACT = 2, FG_UNTOLD_ALL = 3 };

struct fg_writer {
    pthread_cond_t work, done; /* with mu */
    bool kick;                 /* mu */
    atomic_bool stop;          /* also ends a check of the file */
    bool started;
    pthread_t thread;

    /* The thread's own: */
    struct fg_batch *batch;
    bool failing;    /* the last batch did; where the disk is full, until there is room again */
    uint64_t lacked; /* the disk was full: so many bytes found no room; else 0 */
    unsigned untold; /* FG_UNTOLD_*: whoever asks next for one of these is told instead */
    bool unscrubbed; /* what was forgotten is not overwritten yet */
    struct fg_retry scrub; /* of that */
    uint64_t sift_at;      /* fg_sift_expired(): not before */
};

int fg_writer_start(struct fg_cache *c, struct fg_err *err);
void fg_writer_stop(struct fg_cache *c); /* after the queue is written */

#endif
