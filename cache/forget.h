/* Removing a part of the trees for good; writer thread, no lock held. */
#ifndef FG_CACHE_FORGET_H
#define FG_CACHE_FORGET_H

#include <stdbool.h>
#include <stddef.h>

#include "cache.h"

struct fg_batch;

struct fg_forget {
    struct fg_cache_part part;
    struct fg_cache_forgotten out;
    int rc;
    struct fg_err *err;
};
void fg_forget_run(struct fg_cache *c, struct fg_batch *b, struct fg_forget *f);

#endif
