/* One transaction; writer thread, no lock held. */
#ifndef FG_CACHE_COMMIT_H
#define FG_CACHE_COMMIT_H

struct fg_batch;
struct fg_cache;

enum {
    FG_COMMIT_CHORES = 1,
    FG_COMMIT_PUTS = 2,
    FG_COMMIT_MARK = 4,
    FG_COMMIT_UNMARK = 8,
    FG_COMMIT_UNPUT = 16,
};
/* Victims (from b->deleted on, b->few of them), touches and the clock; puts, of a single large one
 * the pieces from b->written on, as many as go into one transaction; the mark that something is to
 * be overwritten, and b->roots (from b->unrooted on); the pieces of a put that cannot be finished
 * are deleted. 0 or LMDB's or the system's code, of which EFBIG, ENOSPC and EDQUOT say that the
 * disk is full, or so full that a put would leave less than deleting takes (reserve.h); nothing is
 * written then. */
int fg_commit(struct fg_cache *c, struct fg_batch *b, unsigned what);

#endif
