/* What the cache's files share: the open store, the writer's queue, its batches. Private.
 *
 * LMDB is touched by the reader and the writer only. The writer alone opens and closes it: it takes
 * the store away from the reader first (fg_store_take), which is in it for a piece at a time
 * (fg_store_enter). No lock is held across the disk but LMDB's own. */
#ifndef FG_CACHE_STORE_H
#define FG_CACHE_STORE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "cache.h"
#include "index.h"
#include "quota.h"

#define FG_DATA_FILE "data.mdb"
#define FG_LOCK_FILE "lock"
#define FG_LMDB_LOCK_FILE "lock.mdb"
enum { FG_LMDB_LOCK_BYTES = 64 << 10 };
#define FG_COMPACT_FILE "data.mdb.compact"

enum fg_op { FG_OP_PUT, FG_OP_DROP, FG_OP_FLUSH, FG_OP_FORGET, FG_OP_COMPACT };

struct fg_forget;
struct fg_compact;

/* A request to the writer; FLUSH, FORGET and COMPACT lie on their callers' stacks. */
struct fg_item {
    struct fg_item *next;
    struct fg_entry *e; /* PUT: has FG_REC_QUEUED or FG_REC_WRITING; DROP: resolved by the writer */
    struct fg_blob *blob; /* PUT: a reference */
    enum fg_op op;
    enum fg_kind kind;
    bool forced; /* DROP: whatever the stored bytes say */
    bool done;   /* FLUSH, FORGET, COMPACT */
    struct fg_forget *forget;
    struct fg_compact *compact;
    struct fg_key key;
    struct fg_record rec;
};

/* A record that leaves the store, and what putting it back into the index takes. */
struct fg_victim {
    struct fg_entry *e, *parent;
    enum fg_kind kind;
    uint64_t bytes; /* payload; 0: there is nothing to put back */
    bool drop;      /* reported as corrupt, not evicted */
    bool forced;    /* without another look at the bytes */
    bool kept;      /* had another look: the bytes are right */
    bool forgotten; /* at somebody's wish */
};

struct fg_touch {
    struct fg_key key;
    enum fg_kind kind;
    uint64_t use;
    uint32_t uses;
};

enum { FG_BATCH_ITEMS = 1024, FG_BATCH_VICTIMS = 4096, FG_TOUCH_WAKE = 4096 };

/* What goes into one transaction. */
struct fg_batch {
    struct fg_item *puts[FG_BATCH_ITEMS];
    size_t n_puts;
    uint32_t written; /* pieces of the only put that are committed */
    struct fg_victim victims[FG_BATCH_VICTIMS];
    size_t n_victims;
    struct fg_touch *touches;
    size_t n_touches;
    struct fg_item *flushes;
    struct fg_item *task;       /* FORGET, COMPACT: after all that, alone */
    const struct fg_key *roots; /* FG_COMMIT_MARK: records of roots that go */
    size_t n_roots;
    uint64_t bytes, cost; /* of the puts: payloads; pages */
    uint64_t clock;
    struct fg_quota quota; /* as it is to be written */
    bool more;             /* something was left for the next batch */
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

enum fg_db {
    FG_DB_META,
    FG_DB_BLOCKS,
    FG_DB_STATES,
    FG_DB_BLOCK_DATA,
    FG_DB_STATE_DATA,
    FG_DB_ROOTS,
    FG_DBS
};

enum { FG_ROOT_BYTES = 128 };
struct fg_root_slot {
    struct fg_cache_root root;
    bool stored;
};

/* Whether the reader may enter. */
enum fg_phase {
    FG_PHASE_OPEN,
    FG_PHASE_REOPENING, /* for some milliseconds: worth waiting for */
    FG_PHASE_AWAY,      /* checked after damage, for as long as that takes: a miss */
};

struct fg_reader {
    pthread_mutex_t lock; /* all below */
    pthread_cond_t work;
    struct fg_cache_fetch *first, **last; /* in turn */
    struct fg_cache_fetch *now;           /* being served; in no list */
    struct fg_cache_call *calls, **calls_end;
    bool started, stop;
    pthread_t thread;
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
    bool kick, stop;
    bool started;    /* the writer thread */
    bool failing;    /* the last batch did; the writer's */
    bool unscrubbed; /* what was forgotten is not overwritten yet; the writer's */
    struct fg_index ix;
    uint64_t target;       /* for ix.cost + writing */
    uint64_t writing;      /* cost of the puts in the writer's batch */
    uint64_t clock;        /* of uses; ascends across restarts */
    struct fg_quota quota; /* what was written, or is queued to be */
    bool quota_known;      /* read from the file */
    bool quota_out;        /* the log has said that it is used up */
    uint64_t queue_bytes;  /* payloads queued or being written */
    uint64_t queue_cap, batch_cap;
    uint64_t largest; /* payload seen */
    uint64_t pending_drops;
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

/* cache.c */
__attribute__((format(printf, 3, 4))) void
fg_cache_logf(struct fg_cache *c, enum fg_cache_log_level level, const char *fmt, ...);
static inline void fg_count(struct fg_cache *c, enum fg_counter n, uint64_t by)
{
    atomic_fetch_add_explicit(&c->count[n], by, memory_order_relaxed);
}
static inline MDB_val fg_key_val(const struct fg_key *key)
{
    return (MDB_val){sizeof key->b, (void *)key->b};
}
static inline enum fg_db fg_meta_db(enum fg_kind k)
{
    return k == FG_KIND_BLOCK ? FG_DB_BLOCKS : FG_DB_STATES;
}
static inline enum fg_db fg_data_db(enum fg_kind k)
{
    return k == FG_KIND_BLOCK ? FG_DB_BLOCK_DATA : FG_DB_STATE_DATA;
}

/* gone.c: what went, and why; mu held, but for init and finish */
struct fg_gone_slot;
void fg_gone_init(struct fg_cache *c);
void fg_gone_finish(struct fg_cache *c);
void fg_gone_note(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key,
                  enum fg_cache_gone why);

/* roots.c */
/* All of the database into the table; mu not held. LMDB's code or ENOMEM. */
int fg_roots_load(struct fg_cache *c, MDB_txn *txn);
/* Writer thread, mu not held: writes the root when it is noted and not stored. LMDB's code. */
int fg_roots_write(struct fg_cache *c, MDB_txn *txn, const struct fg_key *key);
/* What was written, or deleted, is committed. mu held. */
void fg_roots_settle(struct fg_cache *c, const struct fg_key *key, bool stored);

/* dir.c: the directory, its lock, files moved aside */
/* dir_fd, lock_fd, ours; *earlier gets the directory's format when it is an earlier one, else 0. */
int fg_dir_open(struct fg_cache *c, unsigned *earlier, struct fg_err *err);
int fg_dir_tag(struct fg_cache *c, struct fg_err *err); /* marks the directory as a cache's */
int fg_dir_move_aside(struct fg_cache *c, const char *why, struct fg_err *err);
void fg_dir_remove_aside(struct fg_cache *c); /* removes files that were moved aside */
int fg_errno_code(int e);                     /* an errno as FG_E* */

/* store.c: the LMDB environment */
/* Checks, opens or creates, fills the index (empty of stored records). A damaged file is moved
 * aside and an empty one begun, when the directory is a cache's. */
int fg_store_open(struct fg_cache *c, bool deep, struct fg_err *err);
void fg_store_close(struct fg_cache *c);
/* The reader goes in: LMDB stays open until it leaves. False: it is closed after damage. Waits
 * while it is reopened otherwise. */
bool fg_store_enter(struct fg_cache *c);
void fg_store_leave(struct fg_cache *c);
/* Writer thread, no batch held: closes and reopens after damage. */
void fg_store_recover(struct fg_cache *c);
/* Writer thread, no batch held, mu not held: waits for the reader, closes LMDB, calls `between`
 * unless it is NULL (its failure is returned, after reopening), and opens the same records again.
 * FG_EIO and the like: the store is reported as damaged, and recovers as such. */
int fg_store_reopen(struct fg_cache *c, int (*between)(struct fg_cache *c, struct fg_err *err),
                    struct fg_err *err);
/* In a guard, or so: maps the file, which has been checked, and reads what is in it into *loaded
 * unless that is NULL. */
struct fg_loaded;
int fg_store_map(struct fg_cache *c, uint64_t size, struct fg_loaded *loaded, struct fg_err *err);
/* A guarded transaction was cut short. */
void fg_store_fault(struct fg_cache *c);
/* In a guard, at the beginning of a transaction: are the meta pages those that this process wrote
 * last, or, `most` 1, is about to have written? Reports damage. */
bool fg_store_is_ours(struct fg_cache *c, uint64_t most);
/* The data file's size now; 0 when it became smaller, which is reported as damage. env is open. */
uint64_t fg_store_file_bytes(struct fg_cache *c);
/* True when the code says that the file's structure is not to be trusted. */
bool fg_mdb_damaged(int rc);

/* retire.c: a data file of format `version`, earlier than ours, is moved aside and its keys noted
 * as gone; the directory is ours then. */
int fg_store_retire(struct fg_cache *c, unsigned version, struct fg_err *err);

/* load.c: what is in a store, read without a lock (in a guard), and made known; what does not
 * verify is queued to be dropped. */
struct fg_loaded {
    struct fg_load_row *rows;
    size_t n, cap;
    struct fg_quota quota;
    bool has_quota, unscrubbed;
    uint64_t clock;
};
int fg_store_read(struct fg_cache *c, struct fg_loaded *l, struct fg_err *err);
int fg_store_apply(struct fg_cache *c, const struct fg_loaded *l, struct fg_err *err);
void fg_loaded_finish(struct fg_loaded *l);

/* queue.c */
void fg_queue_push(struct fg_cache *c, struct fg_item *it); /* mu held; kicks */
void fg_queue_free(struct fg_item *it);                     /* and its payload */
/* Pushes an item of the caller's stack and waits until the writer is done with it. */
void fg_queue_wait(struct fg_cache *c, struct fg_item *it);
/* mu held: queues a DROP; without memory the record stays as it is. */
void fg_queue_drop(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key, bool forced);
/* A reader met a bad record: takes it out of the index, queues its drop, counts. Any thread. */
void fg_report_corrupt(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key,
                       bool forced);
/* A reader met bad structure: the writer will reopen. Any thread. */
void fg_report_damage(struct fg_cache *c, const char *what);

/* reader.c */
void fg_reader_init(struct fg_cache *c);
void fg_reader_finish(struct fg_cache *c);
int fg_reader_start(struct fg_cache *c, struct fg_err *err);
void fg_reader_stop(struct fg_cache *c); /* what is under way ends with FG_ECANCELED */
/* Runs it on the reader's thread and waits; on that thread, at once. */
void fg_reader_run(struct fg_cache *c, void (*run)(void *ctx), void *ctx);

/* read.c; the reader's thread */
/* The next piece of a fetch. 0: it is whole. FG_READ_MORE: another turn. Else what it ends with. */
enum { FG_READ_MORE = 1 };
int fg_read_piece(struct fg_cache *c, struct fg_cache_fetch *f, struct fg_err *err);
/* Token ids of stored blocks keys[0..n), those that can be read: [n][64]. *ok: [n]. FG_EBUSY,
 * FG_EIO. */
int fg_read_tokens(struct fg_cache *c, const struct fg_key *keys, size_t n, int32_t *tokens,
                   bool *ok, struct fg_err *err);

/* list.c; mu held */
bool fg_tree_stored(const struct fg_entry *e); /* as a block */
/* The root that e hangs below, when it is one of `roots`; else NULL. */
struct fg_entry *fg_tree_root(struct fg_entry *e, const struct fg_key *roots, size_t n_roots);

/* forget.c, compact.c, scrub.c: writer thread, no lock held */
/* What goes: `key` and all that continues it, with `before` also the blocks before it that lead to
 * nothing else; key NULL: all below the roots. */
struct fg_forget {
    const struct fg_key *roots;
    size_t n_roots;
    const struct fg_key *key;
    bool before;
    struct fg_cache_forgotten out;
    int rc;
    struct fg_err *err;
};
void fg_forget_run(struct fg_cache *c, struct fg_batch *b, struct fg_forget *f);
struct fg_compact {
    uint64_t before, after; /* bytes of the file */
    int rc;
    struct fg_err *err;
};
void fg_compact_run(struct fg_cache *c, struct fg_compact *k);
/* Overwrites what was removed, and takes back the mark. No batch may be held. */
int fg_scrub(struct fg_cache *c, struct fg_err *err);

/* plan.c: what the next transaction does; mu held */
void fg_plan(struct fg_cache *c, struct fg_batch *b);
/* Adds victims until `bytes` fit within the target. 0; FG_EFULL: nothing left that may go;
 * FG_EBUSY: the batch holds no more victims. */
int fg_plan_room(struct fg_cache *c, struct fg_batch *b, uint64_t bytes);
/* Victims whatever the target says, until about `bytes` are given up. */
void fg_plan_evict(struct fg_cache *c, struct fg_batch *b, uint64_t bytes);
/* Gives up the put at the queue's head: the evictions that it needs cannot be written. */
void fg_plan_skip(struct fg_cache *c);
/* Adds a stored record as a victim; there must be room for it. */
void fg_plan_forget(struct fg_cache *c, struct fg_batch *b, struct fg_entry *e, enum fg_kind kind);
/* Settles victims and touches (ok: they are committed) or puts. */
void fg_plan_settle_chores(struct fg_cache *c, struct fg_batch *b, bool ok);
void fg_plan_settle_puts(struct fg_cache *c, struct fg_batch *b, bool ok);

/* commit.c: one transaction; writer thread, no lock held */
enum {
    FG_COMMIT_CHORES = 1,
    FG_COMMIT_PUTS = 2,
    FG_COMMIT_MARK = 4,
    FG_COMMIT_UNMARK = 8,
    FG_COMMIT_UNPUT = 16,
};
/* Victims, touches and the clock; puts, of a single large one the pieces from b->written on, as
 * many as go into one transaction; the mark that something is to be overwritten, and b->roots; the
 * pieces of a put that cannot be finished are deleted. 0 or LMDB's or the system's code; nothing is
 * written then. */
int fg_commit(struct fg_cache *c, struct fg_batch *b, unsigned what);

/* writer.c */
int fg_writer_start(struct fg_cache *c, struct fg_err *err);
void fg_writer_stop(struct fg_cache *c); /* after the queue is written */

#endif
