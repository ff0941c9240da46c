/* An open cache: whose is what, and under which lock. Its functions are in the headers of their
 * nouns.
 *
 * LMDB is touched by the reader and the writer only. The writer alone opens and closes it: it takes
 * the store away from the reader first, which is in it for a piece at a time (reopen.h). No lock is
 * held across the disk but LMDB's own. */
#ifndef FG_CACHE_HANDLE_H
#define FG_CACHE_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "cache.h"
#include "index.h"
#include "put_queue.h"
#include "quota.h"
#include "reader.h"
#include "remains.h"
#include "reopen.h"
#include "reserve.h"
#include "roots.h"
#include "store.h"
#include "writer.h"

struct fg_gone_slot;
struct fg_touch;

enum fg_counter {
    FG_N_EVICTED,
    FG_N_CORRUPT,
    FG_N_FULL,
    FG_N_QUEUE,
    FG_N_ORPHAN,
    FG_N_BUDGET,
    FG_N_WRITE_ERRORS,
    FG_N_HIT_BLOCKS, /* as the kinds are ordered */
    FG_N_HIT_STATES,
    FG_N_HIT_DOCUMENTS,
    FG_N_WRITTEN,
    FG_COUNTERS
};

enum { FG_BESIDE_FILES = 4, FG_BESIDE_BYTES = 256 };

struct fg_beside_file {
    const char *name;
    uint8_t bytes[FG_BESIDE_BYTES];
    size_t n;
};

struct fg_beside {
    struct fg_beside_file files[FG_BESIDE_FILES];
    size_t n;
};

struct fg_cache {
    struct fg_cache_options opt; /* dir: a copy */
    int dir_fd, lock_fd;
    bool ours; /* the lock file says that this is a cache directory */

    struct fg_store store;
    struct fg_reserve reserve;
    struct fg_handover handover;

    pthread_mutex_t mu; /* all below, down to the counters */
    struct fg_beside beside;
    struct fg_index ix;
    uint64_t target;       /* for ix.cost + writing + remains.cost */
    uint64_t writing;      /* cost of the puts in the writer's batch */
    uint64_t clock;        /* of uses; ascends across restarts */
    struct fg_quota quota; /* what was written, or is queued to be */
    bool quota_known;      /* read from the file */
    bool quota_out;        /* the log has said that it is used up */
    uint64_t batch_cap;    /* bytes of a transaction */
    struct fg_put_queue queue;
    struct fg_remains remains;
    struct fg_touch *touches; /* of records; use and uses are filled in later */
    size_t n_touches, touch_cap;
    struct fg_gone_slot *gone; /* NULL: there was no memory for it */
    struct fg_roots roots;

    atomic_uint_fast64_t count[FG_COUNTERS];
    struct fg_writer writer;
    struct fg_reader reader;
};

/* A line for the log. Any thread. */
__attribute__((format(printf, 3, 4))) void
fg_cache_logf(struct fg_cache *c, enum fg_cache_log_level level, const char *fmt, ...);
static inline void fg_count(struct fg_cache *c, enum fg_counter n, uint64_t by)
{
    atomic_fetch_add_explicit(&c->count[n], by, memory_order_relaxed);
}

#endif
