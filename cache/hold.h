/* Holds: records that are not to be evicted before a time, because a client asked for that. What is
 * held goes after all that is not, whatever it is worth; and all holds together take no more than
 * half of the budget, so that what nobody asked for has room too: a hold that would take more is
 * none. They are in memory alone. Not thread-safe: guarded by fg_cache.mu, as the index. */
#ifndef FG_CACHE_HOLD_H
#define FG_CACHE_HOLD_H

#include "index.h"

/* What a held record's place in the order of eviction is raised by: above every value. */
#define FG_HOLD_RAISE 1e6

/* What the key's entry has, or gets when its record is put, is held until then, or longer where it
 * is already; seconds on the clock of ix->now. */
void fg_hold(struct fg_index *ix, const struct fg_key *key, uint32_t until);
/* A new entry: somebody may wait for it. */
void fg_hold_begin(struct fg_index *ix, struct fg_entry *e);
/* What the entry has is another than before: it takes another share, or there is no room for it. */
void fg_hold_count(struct fg_index *ix, struct fg_entry *e);
void fg_hold_end(struct fg_index *ix, struct fg_entry *e);

static inline bool fg_held(const struct fg_index *ix, const struct fg_entry *e)
{
    return e->hold_pages && e->hold_until > ix->now;
}

#endif
