/* Is an LMDB data file safe to hand to LMDB? LMDB trusts its pages: a flipped bit in one can send
 * it outside the file. This walks every tree page of the newest snapshot, bounds-checked, through
 * pread: page headers, nodes, key order, depth, and that no page has two owners, the free list
 * included. Payloads are not read; their records carry checksums. */
#ifndef FG_CACHE_CHECK_H
#define FG_CACHE_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fulgur/error.h"

/* fd: the data file, not empty, not being written. deep: also reads one page of every payload, its
 * page header, which LMDB trusts when it deletes (otherwise looked at before each delete).
 * stop (may be NULL): ends it soon once it is true, with FG_ECANCELED.
 * 0; FG_ECORRUPT (err: what and where); FG_EFORMAT (a sound file of another LMDB format); FG_EIO;
 * FG_ENOMEM. */
int fg_check_file(int fd, bool deep, const atomic_bool *stop, struct fg_err *err);

/* Pages that the snapshots of the two meta pages use: not those that lie on their free lists. */
struct fg_reach {
    uint8_t *pages; /* [n_pages / 8 + 1], a bit a page; malloc'd, the caller's to free() */
    uint64_t n_pages;
    uint32_t psize;
};
static inline bool fg_reached(const struct fg_reach *r, uint64_t page)
{
    return page < r->n_pages && (r->pages[page / 8] >> (page % 8) & 1);
}
/* Walks both snapshots as fg_check_file() does the newer one. `gap` (may be NULL) is told of bytes
 * in pages in use that belong to no record: of tree pages, and behind free lists; their offset and
 * what they hold. On success out->pages is the caller's. The errors of fg_check_file(). */
int fg_check_reach(int fd, void (*gap)(void *ctx, uint64_t off, const uint8_t *bytes, size_t n),
                   void *ctx, struct fg_reach *out, struct fg_err *err);

#endif
