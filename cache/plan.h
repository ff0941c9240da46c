/* What the next transaction does. mu held. */
#ifndef FG_CACHE_PLAN_H
#define FG_CACHE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "index.h"

struct fg_batch;
struct fg_cache;
struct fg_item;

void fg_plan(struct fg_cache *c, struct fg_batch *b);
/* Victims whatever the target says, until about `bytes` are given up. */
void fg_plan_evict(struct fg_cache *c, struct fg_batch *b, uint64_t bytes);
/* Takes a put out of the queue, and forgets it. */
void fg_plan_cancel(struct fg_cache *c, struct fg_item *it);
/* The same of the put at the queue's head: the evictions that it needs cannot be written. */
void fg_plan_skip(struct fg_cache *c);
/* Adds a stored record as a victim; there must be room for it. */
void fg_plan_forget(struct fg_cache *c, struct fg_batch *b, struct fg_entry *e, enum fg_kind kind);
/* Settles victims and touches (all of them are committed, or the first b->deleted victims) or
 * puts. */
void fg_plan_settle_chores(struct fg_cache *c, struct fg_batch *b, bool all);
void fg_plan_settle_puts(struct fg_cache *c, struct fg_batch *b, bool ok);

#endif
