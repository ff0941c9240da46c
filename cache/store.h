/* The LMDB environment: checked, opened, created. */
#ifndef FG_CACHE_STORE_H
#define FG_CACHE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "fulgur/error.h"

struct fg_cache;
struct fg_loaded;

/* The environment. The writer opens and closes it; the reader uses it while it is in
 * (fg_store_enter()). */
struct fg_store {
    MDB_env *env; /* NULL while the store could not be reopened */
    MDB_dbi db[FG_DBS];
    uint32_t psize;
    const char *map; /* where LMDB mapped the file */
    uint64_t map_bytes;
    atomic_uint_fast64_t last_txn;   /* committed, as far as we know */
    atomic_uint_fast64_t file_bytes; /* never becomes less: behind the end the map is SIGBUS */
    atomic_bool broken;  /* a transaction was cut short: LMDB is abandoned, not closed */
    atomic_bool damaged; /* LMDB met a page that makes no sense: reopen with a deep check */
};

/* The store's databases; flags: MDB_CREATE, or 0. LMDB's code. */
int fg_store_open_dbs(MDB_txn *txn, unsigned flags, MDB_dbi db[FG_DBS]);
/* Where LMDB asserts, it leaves the guard. */
void fg_store_catch_asserts(struct fg_cache *c, MDB_env *env);

/* Opens and locks the directory; a data file of an earlier format is moved aside. */
int fg_store_take_dir(struct fg_cache *c, struct fg_err *err);
/* Checks, opens or creates, fills the index (empty of stored records). A damaged file is moved
 * aside and an empty one begun, when the directory is a cache's. */
int fg_store_open(struct fg_cache *c, bool deep, struct fg_err *err);
void fg_store_close(struct fg_cache *c);
/* In a guard, or so: maps the file, which has been checked, and reads what is in it into *loaded
 * unless that is NULL. */
int fg_store_map(struct fg_cache *c, uint64_t size, struct fg_loaded *loaded, struct fg_err *err);
/* In a guard, at the beginning of a transaction: are the meta pages those that this process wrote
 * last, or, `most` 1, is about to have written? Reports damage. */
bool fg_store_is_ours(struct fg_cache *c, uint64_t most);
/* What of the directory and its files was replaced since they were opened (fg_dir_replaced()). */
const char *fg_store_replaced(struct fg_cache *c);
/* The data file's size now; 0 when it became smaller, which is reported as damage. env is open. */
uint64_t fg_store_file_bytes(struct fg_cache *c);
/* True when the code says that the file's structure is not to be trusted. */
bool fg_mdb_damaged(int rc);

#endif
