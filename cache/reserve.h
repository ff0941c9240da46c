/* Room on the disk that is kept for deleting.
 *
 * LMDB copies the pages that a transaction changes, and frees none before the second transaction
 * after: on a full disk nothing could be deleted, neither because somebody asks for it nor to make
 * room. So a file beside the data file holds some room. A deletion that meets a full disk gets it,
 * in transactions of a few records each, and takes back what it leaves. What it took is free pages
 * of the data file from then on: puts leave as many of them as the reserve lacks. A limit on the
 * size of files (RLIMIT_FSIZE) is a full disk that this file cannot help with: puts leave as much
 * below it.
 *
 * Writer thread, or before there is one. */
#ifndef FG_CACHE_RESERVE_H
#define FG_CACHE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

struct fg_batch;
struct fg_cache;

struct fg_reserve {
    uint64_t bytes; /* held now */
    uint64_t want;  /* less on a small file system */
};

/* ENOSPC, EDQUOT, EFBIG. */
bool fg_disk_is_full(int rc);
/* LMDB calls a write that came out short an input/output error: the code of a full disk when it is
 * that, else EIO. */
int fg_reserve_cause(struct fg_cache *c);
/* Takes what is missing, as far as there is room for it. */
void fg_reserve_take(struct fg_cache *c);
/* The room is anybody's. */
void fg_reserve_give(struct fg_cache *c);
/* The reserve is whole, and there is room for so many bytes beside it. */
bool fg_reserve_is_whole(struct fg_cache *c, uint64_t bytes);
/* Whether the puts of the batch leave what deleting takes: as much as the reserve is meant to hold,
 * in free pages of the data file, in the reserve and in what the disk, or the limit on the size of
 * files, has left. So however much of the reserve went into the data file, deleting has it there.
 * 0; ENOSPC or EFBIG, and b->lacks says how many bytes are to be deleted first; or LMDB's code. In
 * a guard. */
int fg_reserve_allows(struct fg_cache *c, struct fg_batch *b);
/* fg_commit() of what deletes; b->deleted says how far it has come, also where it fails. */
int fg_reserve_commit(struct fg_cache *c, struct fg_batch *b, unsigned what);

#endif
