/* The prompt cache's store: KV blocks and lightning-attention states in LMDB, found by prefix keys.
 *
 * Knows no Vulkan, no libevent and no model: payloads are opaque bytes. One process a directory
 * (lock file; a second one gets FG_EBUSY). Reads go through the memory map; writes are queued to
 * one writer thread that commits batches in one transaction each and evicts the records of the
 * least value (policy.h) within a byte budget, a block only after everything that continues it.
 * kill -9, a full disk or a torn file may cost a hit, never a wrong payload: every record carries
 * its token ids and a checksum, both checked on read; a bad record is dropped and counted, and
 * reads as a miss. The bytes on disk: docs/disk-format.md. */
#ifndef FG_CACHE_H
#define FG_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "key.h"
#include "policy.h"

struct fg_cache;
struct fg_cache_read; /* a read transaction: payload pointers live until it ends */

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
};

/* Opens or creates. Unknown or older formats are refused by name, never silently deleted. A damaged
 * data file is moved aside (data.mdb.damaged-N, the newest is kept) and an empty one begun; the log
 * says so. Reads every tree page once: no payloads. Not for several threads at once.
 * FG_EBUSY (another process), FG_EACCESS, FG_EIO, FG_EFORMAT, FG_EFULL, FG_EINVAL, FG_ENOMEM. */
int fg_cache_open(const struct fg_cache_options *opt, struct fg_cache **out, struct fg_err *err);
/* Writes what is queued, stops the writer, unlocks. NULL is fine. No reads may be open, and no
 * other thread may use the cache. */
void fg_cache_close(struct fg_cache *c);

/* What a prompt would hit. keys[i] and tokens[i*64 ..] describe block i of the prompt (n blocks).
 * n_blocks: how many leading blocks are stored (payload present, tokens equal).
 * restore_blocks: the longest prefix, in blocks, that can be restored: n_blocks itself when
 * need_state is false, else the longest b <= n_blocks with a state at the end of block b-1. */
struct fg_cache_hit {
    uint32_t n_blocks;
    uint32_t restore_blocks;
};
/* Looks up without reading payloads (checksums are checked when they are read); what is queued is
 * not found yet. Any thread; never waits: nothing is found while a damaged store is reopened.
 * 0 or FG_EIO. */
int fg_cache_find(struct fg_cache *c, const struct fg_key *keys, const int32_t *tokens,
                  uint32_t n_blocks, bool need_state, struct fg_cache_hit *hit, struct fg_err *err);
/* Where a prompt leaves what is stored: adds the blocks that continue `parent` (a block's key, or
 * the root) to *nearest, as many as there are, but only the 512 that came last. Any thread; reads
 * no payloads. */
void fg_cache_nearest(struct fg_cache *c, const struct fg_key *parent, const int32_t *tokens,
                      uint32_t n, struct fg_nearest *nearest);
/* What has become of a record that is not stored, as far as is remembered: the last 32,768 or so
 * that went since the store was opened (FORMAT: that were in a file of an earlier format, which the
 * opening moved aside). Any thread. */
enum fg_cache_gone { FG_GONE_UNKNOWN, FG_GONE_EVICTED, FG_GONE_CORRUPT, FG_GONE_FORMAT };
enum fg_cache_gone fg_cache_gone_block(struct fg_cache *c, const struct fg_key *key);
enum fg_cache_gone fg_cache_gone_state(struct fg_cache *c, const struct fg_key *key);

bool fg_cache_has_block(struct fg_cache *c, const struct fg_key *key);
bool fg_cache_has_state(struct fg_cache *c, const struct fg_key *key);

/* Reading payloads: begin, get any number, end; by one thread, short-lived (an open read keeps the
 * file from reusing pages). Payload pointers point into the map, aligned to 64 bytes.
 * FG_EBUSY (too many reads, or a damaged store is being reopened: a miss), FG_EIO, FG_ENOMEM. */
int fg_cache_read_begin(struct fg_cache *c, struct fg_cache_read **out, struct fg_err *err);
void fg_cache_read_end(struct fg_cache_read *r);
/* The verified KV payload of the block `key`, whose token ids must equal tokens[64] and whose size
 * must equal `bytes`. FG_ENOTFOUND when absent, other tokens, or dropped as corrupt
 * (err->code says FG_ECORRUPT then; a record of another size is dropped as corrupt too). FG_EIO
 * when the file's structure is damaged; the store reopens itself when no read is open. */
int fg_cache_read_block(struct fg_cache_read *r, const struct fg_key *key, const int32_t *tokens,
                        size_t bytes, const void **payload, struct fg_err *err);
/* The same for the state at the end of the block `key`. */
int fg_cache_read_state(struct fg_cache_read *r, const struct fg_key *key, const int32_t *tokens,
                        size_t bytes, const void **payload, struct fg_err *err);
/* The token ids of a stored block. FG_ENOTFOUND, FG_EIO. */
int fg_cache_read_tokens(struct fg_cache_read *r, const struct fg_key *key,
                         int32_t tokens[FG_BLOCK_TOKENS], struct fg_err *err);
/* Has the state at the end of block `key`, or the block, dropped as one that does not verify:
 * whoever calls knows better what its payload should be. Any thread. */
void fg_cache_drop(struct fg_cache *c, const struct fg_key *key, bool is_state);
/* Notes a use of blocks keys[0..n), and of the state at the end of the last one, for the order of
 * eviction: the first block counts as the most recently used. Written with a later batch. */
void fg_cache_touch(struct fg_cache *c, const struct fg_key *keys, uint32_t n);

/* Queues a record; never waits for the disk. The cache takes over `payload` (from malloc) in every
 * case, also on failure. parent: key of block index-1, or the root for index 0. A record that is
 * stored or queued already is dropped silently (0). FG_EBUSY when the queue is over its byte cap,
 * 256 MiB or twice the largest payload; FG_EFULL when the record alone is over the budget, or the
 * day's write budget is used up (all are dropped and counted); FG_EINVAL: no payload, or over 4
 * GiB; FG_ENOMEM. The caller goes on. seconds: of prefill, to compute the block's 64 tokens; 0 when
 * unknown. A block whose parent is neither stored nor queued before it is dropped by the writer and
 * counted. Any thread. */
int fg_cache_put_block(struct fg_cache *c, const struct fg_key *key, const struct fg_key *parent,
                       uint32_t index, const int32_t tokens[FG_BLOCK_TOKENS], void *payload,
                       size_t bytes, double seconds);
/* The state at the end of block `key` (stored or queued before it), which marks `at`; else as
 * above. */
int fg_cache_put_state(struct fg_cache *c, const struct fg_key *key,
                       const int32_t tokens[FG_BLOCK_TOKENS], void *payload, size_t bytes,
                       enum fg_boundary at);
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
/* What lies below the roots, the last used first: up to max rows into out, *n of them; *total: how
 * many there are. Any thread, for a moment as long as all blocks take to be looked at. FG_ENOMEM.
 */
int fg_cache_list(struct fg_cache *c, const struct fg_key *roots, size_t n_roots,
                  struct fg_cache_entry *out, size_t max, size_t *n, uint64_t *total);
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
 * (it has gone, or a block before it has), FG_EBUSY, FG_EIO, FG_ENOMEM. Any thread. */
int fg_cache_path(struct fg_cache *c, const struct fg_key *key, struct fg_cache_path *out,
                  struct fg_err *err);
void fg_cache_path_finish(struct fg_cache_path *p);

/* Removes `key`, which lies below one of the roots, with all that continues it, and with `before`
 * also the blocks before it back to one that something else continues as well; key NULL: all below
 * the roots, and the roots. Returns when it is no longer in the data file: freed pages are
 * overwritten and synced (docs/disk-format.md), copies of damaged files are deleted. A kill in
 * between is made up for at the next open. What is queued before is removed too. Waits for the
 * disk, and for reads that are open: not for a thread that has one. FG_ENOTFOUND; FG_EIO, FG_EFULL,
 * FG_EBUSY: what *out counts is removed, but not yet overwritten. */
struct fg_cache_forgotten {
    uint64_t blocks, states, bytes; /* payloads */
};
int fg_cache_forget(struct fg_cache *c, const struct fg_key *roots, size_t n_roots,
                    const struct fg_key *key, bool before, struct fg_cache_forgotten *out,
                    struct fg_err *err);

/* Gives the data file's free space back: copies the records into a new file, which takes the place
 * of the old one; the disk has to have room for both. A kill leaves one of the two, whole. Nothing
 * is written meanwhile; reads find what is there. Waits for the disk, and for reads that are open:
 * not for a thread that has one. *before, *after: bytes of the file. FG_EFULL (no room: nothing was
 * changed), FG_EIO, FG_EBUSY (a damaged store is being reopened). */
int fg_cache_compact(struct fg_cache *c, uint64_t *before, uint64_t *after, struct fg_err *err);

struct fg_cache_stats {
    uint64_t blocks, states;           /* records stored */
    uint64_t block_bytes, state_bytes; /* their payloads */
    uint64_t file_bytes, max_bytes;    /* the data file; the budget */
    uint64_t queued_bytes;             /* payloads waiting for the writer, or being written */
    /* Since open. Records: evicted for the budget; that did not verify; too large for the budget or
     * the file; refused by a full queue; put without the block they continue; over the day's write
     * budget. */
    uint64_t evicted, dropped_corrupt, dropped_full, dropped_queue, dropped_orphan, dropped_budget;
    uint64_t write_errors;             /* transactions that failed; their records are lost */
    uint64_t hits_blocks, hits_states; /* payloads read */
    uint64_t bytes_written;            /* payloads committed */
};
void fg_cache_stats(struct fg_cache *c, struct fg_cache_stats *out); /* any thread */

#endif
