/* The writer's thread. */
#ifndef FG_CACHE_WRITER_H
#define FG_CACHE_WRITER_H

#include "fulgur/error.h"

struct fg_cache;

int fg_writer_start(struct fg_cache *c, struct fg_err *err);
void fg_writer_stop(struct fg_cache *c); /* after the queue is written */

#endif
