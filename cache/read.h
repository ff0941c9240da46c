/* Reads of the store; the reader's thread. */
#ifndef FG_CACHE_READ_H
#define FG_CACHE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "key.h"

struct fg_cache;
struct fg_cache_fetch;

/* The next piece of a fetch. 0: it is whole. FG_READ_MORE: another turn. Else what it ends with. */
enum { FG_READ_MORE = 1 };
int fg_read_piece(struct fg_cache *c, struct fg_cache_fetch *f, struct fg_err *err);
/* Token ids of stored blocks keys[0..n), those that can be read: [n][64]. *ok: [n]. FG_EBUSY,
 * FG_EIO. */
int fg_read_tokens(struct fg_cache *c, const struct fg_key *keys, size_t n, int32_t *tokens,
                   bool *ok, struct fg_err *err);

#endif
