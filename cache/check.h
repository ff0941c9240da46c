/* Is an LMDB data file safe to hand to LMDB? LMDB trusts its pages: a flipped bit in one can send
 * it outside the file. This walks every tree page of the newest snapshot, bounds-checked, through
 * pread: page headers, nodes, key order, depth, and that no page has two owners, the free list
 * included. Payloads are not read; their records carry checksums. */
#ifndef FG_CACHE_CHECK_H
#define FG_CACHE_CHECK_H

#include <stdbool.h>

#include "fulgur/error.h"

/* fd: the data file, not empty, not being written. deep: also reads one page of every payload, its
 * page header, which LMDB trusts when it deletes (otherwise looked at before each delete).
 * 0; FG_ECORRUPT (err: what and where); FG_EFORMAT (a sound file of another LMDB format); FG_EIO;
 * FG_ENOMEM. */
int fg_check_file(int fd, bool deep, struct fg_err *err);

#endif
