/* What the writer does in one transaction. */
#ifndef FG_CACHE_BATCH_H
#define FG_CACHE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index.h"
#include "key.h"
#include "quota.h"
#include "record.h"

struct fg_item;

/* A record that leaves the store, and what putting it back into the index takes. */
struct fg_victim {
    struct fg_entry *e, *parent;
    enum fg_kind kind;
    uint64_t bytes;   /* payload; 0: there is nothing to put back */
    bool drop;        /* reported as corrupt, not evicted */
    bool forced;      /* without another look at the bytes */
    bool kept;        /* had another look: the bytes are right */
    bool forgotten;   /* at somebody's wish */
    bool begun;       /* a part of it is deleted */
    uint64_t remains; /* not of the index: what it takes of the file (remains.h) */
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
    size_t deleted; /* of the victims, so many are committed */
    size_t few;     /* victims, pieces and roots of a transaction at most, and no touches; 0: all */
    struct fg_touch *touches;
    size_t n_touches;
    struct fg_item *flushes;
    struct fg_item *task;       /* FORGET, COMPACT: after all that, alone */
    const struct fg_key *roots; /* FG_COMMIT_MARK: records of roots that go */
    size_t n_roots;
    size_t unrooted;      /* of them, so many are committed */
    bool unfinished;      /* FG_COMMIT_UNPUT left pieces */
    uint64_t bytes, cost; /* of the puts: payloads; pages */
    uint64_t lacks;       /* bytes to delete before the puts (fg_reserve_allows()) */
    uint64_t clock;
    struct fg_quota quota; /* as it is to be written */
    bool more;             /* something was left for the next batch */
};

#endif
