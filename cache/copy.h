/* A copy of the records in a file of its own, without free pages; writer thread, no lock held. */
#ifndef FG_CACHE_COPY_H
#define FG_CACHE_COPY_H

#include <stdint.h>

#include "fulgur/error.h"

struct fg_cache;

/* fd: the empty file `path`; used: bytes that the copy takes, about. The copy is checked and
 * synced. The store is open, and not written meanwhile. FG_EFULL; FG_EIO, also where the store
 * turned out damaged (which is reported); FG_ENOMEM, FG_EINVAL. */
int fg_copy(struct fg_cache *c, int fd, const char *path, uint64_t used, struct fg_err *err);

#endif
