/* What the roots of the stored trees are made of. */
#ifndef FG_CACHE_ROOTS_H
#define FG_CACHE_ROOTS_H

#include <lmdb.h>
#include <stdbool.h>

#include "cache.h"

enum { FG_ROOT_BYTES = 128 };
struct fg_root_slot {
    struct fg_cache_root root;
    bool stored;
};

/* Those that are noted or stored. mu. */
struct fg_roots {
    struct fg_root_slot *slots;
    size_t n, cap;
};

/* Is it one of them? mu held. */
bool fg_roots_know(const struct fg_cache *c, const struct fg_key *key);
/* All of the database into the table; mu not held. LMDB's code or ENOMEM. */
int fg_roots_load(struct fg_cache *c, MDB_txn *txn);
/* Writer thread, mu not held: writes the root when it is noted and not stored. LMDB's code. */
int fg_roots_write(struct fg_cache *c, MDB_txn *txn, const struct fg_key *key);
/* What was written, or deleted, is committed. mu held. */
void fg_roots_settle(struct fg_cache *c, const struct fg_key *key, bool stored);

#endif
