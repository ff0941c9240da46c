/* Removing a part of the trees for good; writer thread, no lock held. */
#ifndef FG_CACHE_FORGET_H
#define FG_CACHE_FORGET_H

#include <stdbool.h>
#include <stddef.h>

#include "cache.h"

struct fg_batch;

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

#endif
