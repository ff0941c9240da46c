/* The prompt cache's store: KV blocks and lightning-attention states in LMDB, found by prefix keys.
 *
 * Knows no Vulkan, no libevent and no model: payloads are opaque bytes. One process a directory
 * (lock file; a second one gets FG_EBUSY). Two threads of its own touch the disk, nobody else: a
 * reader that fetches records into blobs, and a writer that commits what is put, in batches, and
 * evicts the records of the least value (policy.h) within a byte budget, a block only after
 * everything that continues it. Lookups, puts and statistics touch memory only.
 * kill -9, a full disk or a torn file may cost a hit, never a wrong payload: every record carries
 * its token ids and a checksum, both checked on read; a bad record is dropped and counted, and
 * reads as a miss. The bytes on disk: docs/disk-format.md. */
#ifndef FG_CACHE_H
#define FG_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ticket.h"
#include "fulgur/error.h"
#include "fulgur/metrics.h"
#include "key.h"
#include "policy.h"

struct fg_blob;
struct fg_cache;

enum fg_cache_log_level { FG_CACHE_LOG_ERROR, FG_CACHE_LOG_WARN, FG_CACHE_LOG_INFO };

struct fg_cache_options {
    const char *dir; /* created 0700 (with parents) when missing */
    /* Budget of the records, data and overhead; 1 MiB to 32 TiB. Records take up to about 7/8 of
     * it; the file stays about as large as it, and never grows beyond 9/8 (plus 64 pages). */
    uint64_t max_bytes;
    /* Receives whole lines `key=value ...`; any thread; must not call the cache. May be NULL. */
    void (*log)(void *ctx, enum fg_cache_log_level level, const char *line);
    void *log_ctx;
    /* Bytes that records may take within 24 hours, across restarts; 0: any number. Counted as the
     * budget counts them. When they are used up, records are dropped and counted; the log says so.
     */
    uint64_t write_budget;
    /* Seconds since 1970, for the time that documents live; NULL: the system's clock. */
    uint64_t (*now)(void);
};

/* Opens or creates. Unknown or older formats are refused by name, never silently deleted. A damaged
 * data file is moved aside (data.mdb.damaged-N, the newest is kept) and an empty one begun; the log
 * says so. Reads every tree page once: no payloads. Not for several threads at once.
 * FG_EBUSY (another process), FG_EACCESS, FG_EIO, FG_EFORMAT, FG_EFULL, FG_EINVAL, FG_ENOMEM. */
int fg_cache_open(const struct fg_cache_options *opt, struct fg_cache **out, struct fg_err *err);
/* Remembers the file `name` (a literal; less than 256 bytes) of the cache directory: where the
 * directory is replaced while the cache is open, and the new one has no such file, it is written
 * there (0600). Waits while a damaged store is reopened. Any thread. FG_EFULL: it is larger, or
 * there are four already; codes of fg_errno_code() where it cannot be read. */
int fg_cache_keep_file(struct fg_cache *c, const char *name);
/* Writes what is queued (but not to a store that is damaged: nobody waits for its check), stops
 * both threads, unlocks. NULL is fine. No other thread may use the
 * cache; fetches and calls that are under way end with FG_ECANCELED. */
void fg_cache_close(struct fg_cache *c);

/* What there is for each of n keys: held[i] gets bits. A record is held when it is stored, or
 * queued and so readable. Compares no tokens: they are compared when the record is read. Any
 * thread; memory only, one lock for all; nothing that is stored is held while a damaged store is
 * reopened. */
enum { FG_HELD_BLOCK = 1, FG_HELD_STATE = 2 };
void fg_cache_look(struct fg_cache *c, const struct fg_key *keys, size_t n, uint8_t *held);
/* The same of one key. */
bool fg_cache_has_block(struct fg_cache *c, const struct fg_key *key);
bool fg_cache_has_state(struct fg_cache *c, const struct fg_key *key);

/* A record on its way from the store. The caller fills in the first part and initializes the
 * ticket; the memory is the caller's and must stay until the ticket has ended. It ends with
 *   0               `blob` is the verified payload, one reference of which is the caller's
 *   FG_ENOTFOUND    absent, or stored for other tokens
 *   FG_ECORRUPT     it did not verify, or had another size: dropped, and a miss from now on
 *   FG_EBUSY        a damaged store is being reopened
 *   FG_EIO          the file's structure is damaged; the store reopens itself
 *   FG_ECANCELED, FG_ENOMEM. All of them but 0 are a miss, with `blob` NULL. */
struct fg_cache_fetch {
    struct fg_key key;
    bool is_state;                   /* the state at the end of the block, not the block */
    bool is_document;                /* document.h's; `bytes` is a result */
    int32_t tokens[FG_BLOCK_TOKENS]; /* the block's: what the record must be stored for */
    uint64_t bytes;                  /* of the payload */
    struct fg_ticket ticket;
    struct fg_blob *blob; /* the result */

    /* The reader's. */
    struct fg_cache_fetch *next;
    bool canceled;
    uint32_t pieces; /* read so far */
    uint64_t stamp;  /* of the put that they are of */
};
/* Starts it; never waits. Fetches under way are served in turn, a piece each, so that a small one
 * does not wait for a large one. Any thread. */
void fg_cache_fetch(struct fg_cache *c, struct fg_cache_fetch *f);
/* Has it end soon (FG_ECANCELED, or as it would have): the ticket says when. Any thread, also when
 * it has ended. */
void fg_cache_fetch_cancel(struct fg_cache *c, struct fg_cache_fetch *f);
/* Fetches and waits; the ticket need not be initialized. For operations, tools and tests: never on
 * a runner, the event loop or the reader. What the ticket would say. */
int fg_cache_get(struct fg_cache *c, struct fg_cache_fetch *f, struct fg_err *err);

/* Something to be done on the reader's thread, between two pieces: run(ctx) may read with the
 * functions below that say so, and should be brief. Caller's memory, as a fetch. */
struct fg_cache_call {
    void (*run)(void *ctx);
    void *ctx;
    struct fg_ticket ticket; /* ends with 0, or FG_ECANCELED when it was not run */
    struct fg_cache_call *next;
};
void fg_cache_on_reader(struct fg_cache *c, struct fg_cache_call *call);

/* Where a prompt leaves what is stored: adds the blocks that continue `parent` (a block's key, or
 * the root) to *nearest, as many as there are, but only the 512 that came last. tokens[0..n), n <=
 * 64, are the prompt's behind `parent`. Reads the disk: directly in a call on the reader's thread;
 * other threads wait for the reader. */
void fg_cache_nearest(struct fg_cache *c, const struct fg_key *parent, const int32_t *tokens,
                      uint32_t n, struct fg_nearest *nearest);
/* The token ids of a stored block. Reads the disk, as fg_cache_nearest(). FG_ENOTFOUND,
 * FG_ECORRUPT, FG_EBUSY, FG_EIO. */
int fg_cache_tokens(struct fg_cache *c, const struct fg_key *key, int32_t tokens[FG_BLOCK_TOKENS],
                    struct fg_err *err);

/* What has become of a record that is not stored, as far as is remembered: the last 32,768 or so
 * that went since the store was opened (FORMAT: that were in a file of an earlier format, which the
 * opening moved aside). Any thread. */
enum fg_cache_gone { FG_GONE_UNKNOWN, FG_GONE_EVICTED, FG_GONE_CORRUPT, FG_GONE_FORMAT };
enum fg_cache_gone fg_cache_gone_block(struct fg_cache *c, const struct fg_key *key);
enum fg_cache_gone fg_cache_gone_state(struct fg_cache *c, const struct fg_key *key);

/* Has the state at the end of block `key`, or the block, dropped as one that does not verify:
 * whoever calls knows better what its payload should be. That is whatever the key has now, stored,
 * queued or just being written: a miss from now on, and it does not come back. What is put after
 * that is another record (dropped silently for as long as the wrong one is still being written).
 * Any thread. */
void fg_cache_drop(struct fg_cache *c, const struct fg_key *key, bool is_state);
/* The same of all blocks and states that continue one of blocks keys[0..n), of themselves nothing.
 * A block that was dropped takes what continues it out of the tree: whoever knows the way to it
 * names the whole way. Any thread; memory only, one lock for all. */
void fg_cache_drop_below(struct fg_cache *c, const struct fg_key *keys, uint32_t n);
/* Notes a use of blocks keys[0..n), and of the state at the end of the last one, for the order of
 * eviction: the first block counts as the most recently used. Written with a later batch. */
void fg_cache_touch(struct fg_cache *c, const struct fg_key *keys, uint32_t n);

/* The block `key`, and the state at its end, are not evicted before so many seconds have passed,
 * and so nothing that they continue is, also where they are put later (the last 256 such keys are
 * remembered). What is so held is evicted only when nothing else is left to go. Where all of it
 * together would take more than half of the budget, it is not held. Until the cache is closed. Any
 * thread; memory only. */
void fg_cache_hold(struct fg_cache *c, const struct fg_key *key, uint32_t seconds);

/* A record to be stored. */
struct fg_cache_put {
    const struct fg_key *key; /* of the block; a state: of the block at whose end it is */
    const int32_t *tokens;    /* [64], the block's */
    struct fg_blob *blob;     /* the payload; the cache takes a reference of its own */
    bool is_state;
    /* Of a block: the key of block index-1, or the root for index 0; the seconds of prefill that
     * computing its 64 tokens takes, 0 when unknown. */
    const struct fg_key *parent;
    uint32_t index;
    double seconds;
    enum fg_boundary at; /* of a state: what it marks */
};
/* Queues it; never waits for the disk. A record that is stored or queued already is dropped
 * silently (0). FG_EBUSY when the queue is over its byte cap, 256 MiB or twice the largest payload;
 * FG_EFULL when the record alone is over the budget, or the day's write budget is used up (all are
 * dropped and counted); FG_EINVAL: no payload, or no parent; FG_ENOMEM. The caller goes
 * on. A block whose parent, or a state whose block, is neither stored nor queued before it is
 * dropped by the writer and counted. Any thread. */
int fg_cache_put(struct fg_cache *c, const struct fg_cache_put *p);
/* Is a state worth putting that saves so many seconds of prefill, and takes so many bytes together
 * with the blocks that only it needs? fg_policy_admits(). Any thread. */
bool fg_cache_admits(struct fg_cache *c, enum fg_boundary at, double seconds, uint64_t bytes);
/* Returns when all that was queued before is committed and synced (or failed and counted). */
void fg_cache_flush(struct fg_cache *c);

/* What a root of keys is made of, and whose it is. */
enum { FG_ROOT_NAME = 64 };
struct fg_cache_root {
    struct fg_key key;
    uint8_t model[16], numerics[16], tenant[16];
    char name[FG_ROOT_NAME + 1]; /* of the model; UTF-8, cut */
};
/* Makes a root known: it is stored with the first block that continues it. Any thread; again is
 * once. */
void fg_cache_note_root(struct fg_cache *c, const struct fg_cache_root *root);
/* The roots that are stored, up to max of them into out; also those of which every block has gone
 * since. Returns how many there are. Any thread. */
size_t fg_cache_roots(struct fg_cache *c, struct fg_cache_root *out, size_t max);

/* A stored prefix that ends (a leaf) or that at least two stored blocks continue (a branch). */
struct fg_cache_entry {
    struct fg_key root, first, key; /* of the first and of the last block */
    uint32_t blocks, states;        /* from the root to its end */
    uint64_t bytes;                 /* their payloads */
    uint64_t own_bytes;             /* of those that lead to nothing else; 0 for a branch */
    uint64_t newer;                 /* how many of the listed were used after it */
    bool leaf;
};
struct fg_cache_listing {
    struct fg_cache_entry *rows; /* [max], the caller's */
    size_t max;
    size_t n;       /* the result: how many rows were filled in */
    uint64_t total; /* and how many there are */
};
/* What lies below the roots, the last used first. Any thread, for a moment as long as all blocks
 * take to be looked at. FG_ENOMEM. */
int fg_cache_list(struct fg_cache *c, const struct fg_key *roots, size_t n_roots,
                  struct fg_cache_listing *list);
/* The one stored block below the roots whose key begins with the hexadecimal digits of `id`.
 * FG_ENOTFOUND; FG_EINVAL (no such digits, or several begin like this). Any thread. */
int fg_cache_resolve(struct fg_cache *c, const struct fg_key *roots, size_t n_roots, const char *id,
                     struct fg_key *key, struct fg_err *err);

/* The blocks from a root to one of them. */
struct fg_cache_path {
    struct fg_key root;
    struct fg_key *keys; /* [n] */
    int32_t *tokens;     /* [n][64] */
    bool *has_state;     /* [n]: one is stored at its end */
    uint32_t n;
};
/* The path to the block `key`; on success the caller's until fg_cache_path_finish(). FG_ENOTFOUND
 * (it has gone, or a block before it has), FG_EBUSY, FG_EIO, FG_ENOMEM. Reads the disk, as
 * fg_cache_nearest(). */
int fg_cache_path(struct fg_cache *c, const struct fg_key *key, struct fg_cache_path *out,
                  struct fg_err *err);
void fg_cache_path_finish(struct fg_cache_path *p);

/* A part of the trees: `key`, which lies below one of the roots, with all that continues it, and
 * with `before` also the blocks before it back to one that something else continues as well; key
 * NULL: all below the roots, and the roots. */
struct fg_cache_part {
    const struct fg_key *roots;
    size_t n_roots;
    const struct fg_key *key;
    bool before;
    /* Documents of this tenant go as well: all of them where `key` is NULL; else those that were
     * said on what is removed, or of which it is no longer known. NULL: none. */
    const uint8_t *tenant;
};
struct fg_cache_forgotten {
    uint64_t blocks, states, documents, bytes; /* payloads */
};
/* Removes it. Returns when it is no longer in the data file: freed pages are overwritten and synced
 * (docs/disk-format.md), copies of damaged files are deleted. A kill in between is made up for at
 * the next open. What is queued before is removed too. Waits for the disk. FG_ENOTFOUND; FG_EIO,
 * FG_EFULL, FG_EBUSY: what *out counts is removed, but not yet overwritten. */
int fg_cache_forget(struct fg_cache *c, const struct fg_cache_part *part,
                    struct fg_cache_forgotten *out, struct fg_err *err);

/* Gives the data file's free space back: copies the records into a new file, which takes the place
 * of the old one; the disk has to have room for both. A kill leaves one of the two, whole. Nothing
 * is written meanwhile; reads find what is there. Waits for the disk. *before, *after: bytes of the
 * file. FG_EFULL (no room: nothing was changed), FG_EIO, FG_EBUSY (a damaged store is being
 * reopened). */
int fg_cache_compact(struct fg_cache *c, uint64_t *before, uint64_t *after, struct fg_err *err);

/* Counts of records are since open. */
struct fg_cache_stats {
    FG_CACHE_METRICS(FG_METRIC_MEMBER)
};
void fg_cache_stats(struct fg_cache *c, struct fg_cache_stats *out); /* any thread */

#endif
