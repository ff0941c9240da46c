/* The store changes hands between the reader and the writer. */
#ifndef FG_CACHE_REOPEN_H
#define FG_CACHE_REOPEN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <lmdb.h>

#include "fulgur/error.h"
#include "retry.h"

struct fg_cache;

/* Whether the reader may enter. */
enum fg_phase {
    FG_PHASE_OPEN,
    FG_PHASE_REOPENING, /* for some milliseconds: worth waiting for */
    FG_PHASE_AWAY,      /* checked after damage, for as long as that takes: a miss */
};

struct fg_handover {
    enum fg_phase phase;    /* mu */
    MDB_txn *newest, *used; /* what is read (snapshot.h), by the reader now, if it is in; mu */
    pthread_cond_t turned;  /* one of them changed */
    struct fg_retry retry;  /* of opening a damaged store again; the writer's */
};

/* The reader goes in, and reads this transaction: LMDB stays open until it leaves. NULL: it is
 * closed after damage. Waits while it is reopened otherwise. */
MDB_txn *fg_store_enter(struct fg_cache *c);
void fg_store_leave(struct fg_cache *c);
/* Writer thread, no batch held: closes and reopens after damage. Does nothing when the cache is
 * being closed (the next start checks), and for a while, longer each time, after it has failed. */
void fg_store_recover(struct fg_cache *c);
/* Writer thread, no batch held, mu not held: waits for the reader, closes LMDB, calls `between`
 * unless it is NULL (its failure is returned, after reopening), and opens the same records again.
 * FG_EIO and the like: the store is reported as damaged, and recovers as such. */
int fg_store_reopen(struct fg_cache *c, int (*between)(struct fg_cache *c, struct fg_err *err),
                    struct fg_err *err);
/* A guarded transaction was cut short. */
void fg_store_fault(struct fg_cache *c);

#endif
