/* What the reader reads: the newest transaction, as it was committed.
 *
 * LMDB is opened without its locks, and so without its table of readers. In their place: after each
 * commit the writer begins a read transaction, in which the reader then looks, and the next takes
 * its place. The pages of a snapshot are overwritten by the third commit after it at the earliest
 * (its pages are freed by the first, and LMDB uses what the one before the last has freed); before
 * that one begins the reader is out of it, who is in one for a piece at most. The writer's own read
 * transactions end before it commits. */
#ifndef FG_CACHE_SNAPSHOT_H
#define FG_CACHE_SNAPSHOT_H

#include <lmdb.h>

struct fg_cache;

/* Writer thread, in a guard, after a commit or when LMDB is opened: the newest one is what is read
 * from here on. 0, or LMDB's code: what was read before still is, but not by a commit after the
 * next. */
int fg_snapshot_take(struct fg_cache *c);
/* Writer thread, before a commit; mu not held: waits until the reader is out of what it would
 * overwrite. */
void fg_snapshot_wait(struct fg_cache *c);
/* Writer thread, the reader out of the store: it is dropped; its memory stays when LMDB was left in
 * no known state. */
void fg_snapshot_drop(struct fg_cache *c);
/* mu held; the reader begins with what there is, and ends. */
MDB_txn *fg_snapshot_use(struct fg_cache *c);
void fg_snapshot_leave(struct fg_cache *c);

#endif
