/* What is in a store: read without a lock, in a guard, and then made known; what does not verify is
 * queued to be dropped. */
#ifndef FG_CACHE_LOAD_H
#define FG_CACHE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "quota.h"

struct fg_cache;

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

#endif
