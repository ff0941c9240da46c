/* Overwriting what was removed; writer thread, no lock held. */
#ifndef FG_CACHE_SCRUB_H
#define FG_CACHE_SCRUB_H

#include "fulgur/error.h"

struct fg_cache;

/* Overwrites what was removed, and takes back the mark. No batch may be held. */
int fg_scrub(struct fg_cache *c, struct fg_err *err);

#endif
