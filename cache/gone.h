/* What went, and why. mu held, but for init and finish. */
#ifndef FG_CACHE_GONE_H
#define FG_CACHE_GONE_H

#include "cache.h"
#include "record.h"

void fg_gone_init(struct fg_cache *c);
void fg_gone_finish(struct fg_cache *c);
void fg_gone_note(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key,
                  enum fg_cache_gone why);

#endif
