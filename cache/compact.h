/* Giving the file's free space back; writer thread, no lock held. */
#ifndef FG_CACHE_COMPACT_H
#define FG_CACHE_COMPACT_H

#include <stdint.h>

#include "fulgur/error.h"

struct fg_cache;

struct fg_compact {
    uint64_t before, after; /* bytes of the file */
    int rc;
    struct fg_err *err;
};
void fg_compact_run(struct fg_cache *c, struct fg_compact *k);

#endif
