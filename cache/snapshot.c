#include "snapshot.h"
#include "handle.h"

int fg_snapshot_take(struct fg_cache *c)
{
    struct fg_handover *h = &c->handover;
    MDB_txn *txn, *old;
    int rc = mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn);

    if (rc)
        return rc;
    if (mdb_txn_id(txn) != atomic_load(&c->store.last_txn)) {
        mdb_txn_abort(txn); /* the meta pages are not those that this process has written */
        return MDB_CORRUPTED;
    }
    pthread_mutex_lock(&c->mu);
    old = h->newest;
    h->newest = txn;
    if (old == h->used)
        old = NULL; /* the reader ends it */
    pthread_mutex_unlock(&c->mu);
    mdb_txn_abort(old);
    return 0;
}

void fg_snapshot_wait(struct fg_cache *c)
{
    struct fg_handover *h = &c->handover;
    uint64_t next = atomic_load(&c->store.last_txn) + 1;

    pthread_mutex_lock(&c->mu);
    while (h->used && mdb_txn_id(h->used) + 2 < next)
        pthread_cond_wait(&h->turned, &c->mu);
    pthread_mutex_unlock(&c->mu);
}

void fg_snapshot_drop(struct fg_cache *c)
{
    if (!atomic_load(&c->store.broken))
        mdb_txn_abort(c->handover.newest);
    c->handover.newest = NULL;
}

MDB_txn *fg_snapshot_use(struct fg_cache *c)
{
    return c->handover.used = c->handover.newest;
}

void fg_snapshot_leave(struct fg_cache *c)
{
    MDB_txn *used = c->handover.used;

    c->handover.used = NULL;
    if (used != c->handover.newest)
        mdb_txn_abort(used);
}
