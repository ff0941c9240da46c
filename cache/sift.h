/* Documents that are to go: found in the store, since their tenants and ages are not in memory.
 * Writer thread, or before it runs; no batch and no lock held. */
#ifndef FG_CACHE_SIFT_H
#define FG_CACHE_SIFT_H

#include <stddef.h>
#include <stdint.h>

#include "key.h"

struct fg_cache;

struct fg_sifted {
    struct fg_key key, on; /* the document's; of what it was said on */
};

struct fg_sift {
    const uint8_t *tenant; /* whose documents; NULL: those that are too old, whoever's */
    size_t most;           /* no more than so many */
    struct fg_sifted *rows;
    size_t n, cap;
};

/* What is stored of them into rows, malloc'd, the caller's also on failure. LMDB's code, ENOMEM. */
int fg_sift_run(struct fg_cache *c, struct fg_sift *s);
/* The first time, and then once an hour: has some of those removed that are too old. */
void fg_sift_expired(struct fg_cache *c);

#endif
