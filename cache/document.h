/* Documents: texts beside the trees, found by whose they are and a name: what a model wrote where
 * it called tools, responses that others go on from. A document is written once, lives for
 * FG_DOCUMENT_DAYS at most, and is evicted as other records are, by its value (policy.h). It
 * continues nothing, and nothing continues it.
 *
 * Its key is XXH3-128 of "document", the tenant and the name; the record's token ids are tenant and
 * name, which are compared when it is read. */
#ifndef FG_CACHE_DOCUMENT_H
#define FG_CACHE_DOCUMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache.h"

enum {
    FG_DOCUMENT_NAME = 128,     /* bytes of a name, with its NUL */
    FG_DOCUMENT_MAX = 16 << 20, /* bytes of a text */
    FG_DOCUMENT_DAYS = 30,
};

struct fg_record;

struct fg_cache_document {
    uint8_t tenant[16];
    const char *name; /* 1 to FG_DOCUMENT_NAME - 1 bytes */
};

/* Queues it, as fg_cache_put(): never waits, and takes a reference of its own to the blob. `on`:
 * the key of the last whole block of what it was said on, or that prompt's root. FG_EINVAL: no name
 * or no text, or too long; FG_EBUSY, FG_EFULL, FG_ENOMEM. Any thread. */
int fg_cache_put_document(struct fg_cache *c, const struct fg_cache_document *d,
                          const struct fg_key *on, struct fg_blob *blob);
/* Waits for the reader: never on a runner, the event loop or the reader. *blob is the caller's. As
 * a fetch ends: FG_ENOTFOUND, FG_ECORRUPT (it is dropped), FG_EBUSY, FG_EIO, FG_ECANCELED,
 * FG_ENOMEM. */
int fg_cache_get_document(struct fg_cache *c, const struct fg_cache_document *d,
                          struct fg_blob **blob, struct fg_err *err);
/* Notes a use, for the order of eviction. Any thread; memory only. */
void fg_cache_touch_document(struct fg_cache *c, const struct fg_cache_document *d);
/* Has it removed: a miss from now on. False: there is none. Its bytes stay in the file until their
 * pages are used again, as those of an evicted record. Any thread; memory only. */
bool fg_cache_drop_document(struct fg_cache *c, const struct fg_cache_document *d);

/* --- for the cache's own files --- */

uint64_t fg_document_now(const struct fg_cache *c); /* seconds since 1970 */
bool fg_document_expired(const struct fg_cache *c, const struct fg_record *r);
/* Whose the document is. */
void fg_document_tenant(const struct fg_record *r, uint8_t tenant[16]);

#endif
