/* A data file of an earlier format. */
#ifndef FG_CACHE_RETIRE_H
#define FG_CACHE_RETIRE_H

#include "fulgur/error.h"

struct fg_cache;

/* One of format `version`, earlier than ours, is moved aside and its keys noted as gone; the
 * directory is ours then. */
int fg_store_retire(struct fg_cache *c, unsigned version, struct fg_err *err);

#endif
