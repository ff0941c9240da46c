/* An open cache: whose is what, and under which lock. Its functions are in the headers of their
 * nouns.
 *
 * LMDB is touched by the reader and the writer only. The writer alone opens and closes it: it takes
 * the store away from the reader first, which is in it for a piece at a time (reopen.h). No lock is
 * held across the disk but LMDB's own. */
#ifndef FG_CACHE_HANDLE_H
#define FG_CACHE_HANDLE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "cache.h"
#include "db.h"
#include "index.h"
#include "quota.h"
#include "reader.h"
#include "remains.h"

struct fg_batch;
struct fg_gone_slot;
struct fg_item;
struct fg_root_slot;
struct fg_touch;

/* Whether the reader may enter. */
enum fg_phase {
    FG_PHASE_OPEN,
    FG_PHASE_REOPENING, /* for some milliseconds: worth waiting for */
    FG_PHASE_AWAY,      /* checked after damage, for as long as that takes: a miss */
};

enum fg_counter {
    FG_N_EVICTED,
    FG_N_CORRUPT,
    FG_N_FULL,
    FG_N_QUEUE,
    FG_N_ORPHAN,
    FG_N_BUDGET,
    FG_N_WRITE_ERRORS,
    FG_N_HIT_BLOCKS,
    FG_N_HIT_STATES,
    FG_N_WRITTEN,
    FG_COUNTERS
};

struct fg_cache {
    struct fg_cache_options opt; /* dir: a copy */
    int dir_fd, lock_fd;
    bool ours; /* the lock file says that this is a cache directory */

    MDB_env *env; /* NULL while the store could not be reopened */
    MDB_dbi db[FG_DBS];
    uint32_t psize;
    const char *map; /* where LMDB mapped the file */
    uint64_t map_bytes;
    atomic_uint_fast64_t last_txn;   /* committed, as far as we know */
    atomic_uint_fast64_t file_bytes; /* never becomes less: behind the end the map is SIGBUS */
    atomic_bool broken;  /* a transaction was cut short: LMDB is abandoned, not closed */
    atomic_bool damaged; /* LMDB met a page that makes no sense: reopen with a deep check */

    pthread_mutex_t mu; /* all below but the counters */
    pthread_cond_t work, done;
    pthread_cond_t turned; /* phase or reading changed */
    enum fg_phase phase;
    bool reading; /* the reader is in the store */
    bool kick;
    atomic_bool stop; /* also ends a check of the file */
    bool started;     /* the writer thread */
    bool failing;     /* the last batch did; the writer's */
    bool unscrubbed;  /* what was forgotten is not overwritten yet; the writer's */
    /* Opening a damaged store again has failed so often: when it may be tried again, and how long
     * that was from then; milliseconds. The writer's. */
    unsigned failures;
    uint64_t retry_at, retry_after;
    struct fg_index ix;
    uint64_t target;       /* for ix.cost + writing + remains.cost */
    uint64_t writing;      /* cost of the puts in the writer's batch */
    uint64_t clock;        /* of uses; ascends across restarts */
    struct fg_quota quota; /* what was written, or is queued to be */
    bool quota_known;      /* read from the file */
    bool quota_out;        /* the log has said that it is used up */
    uint64_t queue_bytes;  /* payloads queued or being written */
    uint64_t queue_cap, batch_cap;
    uint64_t largest; /* payload seen */
    uint64_t pending_drops;
    struct fg_remains remains;
    struct fg_item *head, **tail;
    struct fg_touch *touches; /* of records; use and uses are filled in later */
    size_t n_touches, touch_cap;
    struct fg_gone_slot *gone;  /* NULL: there was no memory for it */
    struct fg_root_slot *roots; /* noted or stored */
    size_t n_roots, root_cap;

    atomic_uint_fast64_t count[FG_COUNTERS];
    struct fg_batch *batch; /* the writer's */
    pthread_t thread;
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
