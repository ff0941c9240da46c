/* The store's records in memory: what is stored or queued, who continues whom, and a heap of what
 * may be evicted, least value (policy.h) first. Derived from the meta records at open; about 250
 * bytes a record. Not thread-safe: guarded by fg_cache.mu. */
#ifndef FG_CACHE_INDEX_H
#define FG_CACHE_INDEX_H

#include "policy.h"
#include "record.h"

enum fg_rec_flag {
    FG_REC_STORED = 1,  /* committed, and not known to be bad */
    FG_REC_QUEUED = 2,  /* waits for the writer */
    FG_REC_WRITING = 4, /* in the writer's current batch */
};

/* One key: a block, the state at its end, both; or neither, while something stored continues it; or
 * a document. The root of a model's keys is such an entry: what first blocks continue. */
struct fg_item;
struct fg_entry {
    struct fg_key key;
    struct fg_entry *next;                                      /* in the hash bucket */
    struct fg_entry *parent;                                    /* set by fg_index_link */
    struct fg_entry *first_child, *prev_sibling, *next_sibling; /* the latest linked first */
    uint64_t use[FG_KINDS];
    uint64_t bytes[FG_KINDS]; /* payload */
    double value[FG_KINDS];   /* the heap's order; of what is in it */
    size_t heap_pos[FG_KINDS];
    float seconds;    /* to compute the block */
    uint8_t boundary; /* enum fg_boundary of the state */
    uint8_t uses[FG_KINDS];
    bool bare;         /* a block whose state was evicted: nothing can be restored up to here */
    uint32_t children; /* linked entries whose parent this is */
    uint32_t refs;     /* the writer's batch holds it */
    struct fg_item *item[FG_KINDS]; /* queued or being written: the put, which can be read */
    uint8_t flags[FG_KINDS];
    bool touched[FG_KINDS]; /* `use` is newer than the stored one */
    /* hold.h: until when it is held, and what counts for it; 0: it is not. */
    uint32_t hold_until, hold_pages;
};

struct fg_heap_slot {
    struct fg_entry *e;
    enum fg_kind kind;
};

/* A hold of what is not put yet. */
enum { FG_HOLD_WISHES = 256 };
struct fg_hold_wish {
    struct fg_key key;
    uint32_t until;
};

struct fg_index {
    struct fg_entry **buckets;
    size_t n_buckets, n_entries; /* n_buckets: a power of two */
    struct fg_heap_slot *heap;
    size_t heap_n, heap_cap;
    uint32_t psize;
    uint64_t n[FG_KINDS], bytes[FG_KINDS]; /* stored records and their payloads */
    uint64_t cost;                         /* what the stored records take in the file */
    struct fg_policy policy;
    uint64_t clock;   /* the latest use */
    uint64_t ordered; /* when the heap was put in order, and the policy's epoch then */
    uint32_t epoch;
    bool by_use; /* least recently used first instead: to compare with */
    /* hold.h. The owner sets the time, in seconds, and what all holds may take. */
    uint32_t now;
    uint64_t hold_bytes, held_pages;
    uint32_t holds_swept, ordered_at;
    struct fg_hold_wish wishes[FG_HOLD_WISHES];
    size_t n_wishes;
};

int fg_index_init(struct fg_index *ix); /* 0 or FG_ENOMEM */
void fg_index_finish(struct fg_index *ix);

/* Bytes that a record takes in the file: its pieces' pages, its meta record, its place in trees. */
uint64_t fg_index_cost(const struct fg_index *ix, enum fg_kind kind, uint64_t bytes);

struct fg_entry *fg_index_find(const struct fg_index *ix, const struct fg_key *key);
/* Finds or adds an entry without flags. NULL: no memory. */
struct fg_entry *fg_index_get(struct fg_index *ix, const struct fg_key *key);
/* Frees `e` (NULL is fine) and then its parents as far as nothing needs them. */
void fg_index_release(struct fg_index *ix, struct fg_entry *e);

/* `e` continues `parent`, which is not evicted while it does. Linking twice is linking once. */
void fg_index_link(struct fg_index *ix, struct fg_entry *e, struct fg_entry *parent);
/* Releases the parent as well when nothing needs it. */
void fg_index_unlink(struct fg_index *ix, struct fg_entry *e);

void fg_index_store(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind, uint64_t bytes);
void fg_index_unstore(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind);
void fg_index_flag(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind, unsigned set,
                   unsigned clear);
/* Sets the clock of the last use. */
void fg_index_use(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind, uint64_t clock);
/* What a record is worth, before it is stored: a block's seconds of prefill; of a state, where. */
void fg_index_describe(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind,
                       enum fg_boundary at, double seconds);
/* The same of a record that was stored before, and its uses. */
void fg_index_recall(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind,
                     const struct fg_record *r);
/* What the entry's records are worth, or its hold, has changed. */
void fg_index_renew(struct fg_index *ix, struct fg_entry *e);
/* A request was served by the record: what becomes of its like is learnt from that. */
void fg_index_count_use(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind);
/* The record of the least value that may go; NULL when there is none. A state may go when stored; a
 * block when nothing continues it and it has no state. */
struct fg_entry *fg_index_least(struct fg_index *ix, enum fg_kind *kind);
/* fg_index_least's record is evicted: tells the policy, and what was only good for this record. The
 * caller unstores it. */
void fg_index_evicted(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind);
/* Forgets everything that is stored; what is queued stays. No entry may be held by a batch. */
void fg_index_reset(struct fg_index *ix);

#endif
