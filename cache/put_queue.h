/* The writer's queue: what is put, what is to be dropped, who waits. */
#ifndef FG_CACHE_PUT_QUEUE_H
#define FG_CACHE_PUT_QUEUE_H

#include <stdbool.h>

#include "record.h"

struct fg_blob;
struct fg_cache;
struct fg_entry;

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
    bool wrong;  /* PUT: was dropped while it was written; its DROP is queued */
    bool done;   /* FLUSH, FORGET, COMPACT */
    struct fg_forget *forget;
    struct fg_compact *compact;
    struct fg_key key;
    struct fg_record rec;
};

/* In the order in which they came. mu. */
struct fg_put_queue {
    struct fg_item *head, **tail;
    uint64_t bytes; /* payloads queued or being written */
    uint64_t cap;   /* for them; or twice the largest payload seen, if that is more */
    uint64_t largest;
    uint64_t pending_drops; /* queued or in the batch: these have left the index, not the file */
};

void fg_put_queue_push(struct fg_cache *c, struct fg_item *it); /* mu held; kicks */
/* Queues a put that is filled in but for `op`, and takes it over. What fg_cache_put() says. */
int fg_put_queue_put(struct fg_cache *c, struct fg_item *it);
/* Notes a use of a record. */
void fg_put_queue_touch(struct fg_cache *c, const struct fg_key *key, enum fg_kind kind);
/* A record is to go that is right: a miss from now on. False: there is none. */
bool fg_put_queue_remove(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key);
void fg_put_queue_free(struct fg_item *it); /* and its payload */
/* Pushes an item of the caller's stack and waits until the writer is done with it. */
void fg_put_queue_wait(struct fg_cache *c, struct fg_item *it);
/* mu held: queues a DROP; without memory the record stays as it is. */
void fg_put_queue_drop(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key,
                       bool forced);
/* A reader met a bad record: takes it out of the index, queues its drop, counts. Any thread. */
void fg_report_corrupt(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key,
                       bool forced);
/* A reader met bad structure: the writer will reopen. Any thread. */
void fg_report_damage(struct fg_cache *c, const char *what);

#endif
