/* The cache's directory: its files, its lock, files moved aside. */
#ifndef FG_CACHE_DIR_H
#define FG_CACHE_DIR_H

#include "fulgur/error.h"

#define FG_DATA_FILE "data.mdb"
#define FG_LOCK_FILE "lock"
#define FG_LMDB_LOCK_FILE "lock.mdb" /* earlier builds left it */
#define FG_COMPACT_FILE "data.mdb.compact"
#define FG_RESERVE_FILE "reserve"

/* How a file is opened to be read, whatever lies in its place: O_NONBLOCK, or a pipe would be waited
 * for. */
#define FG_OPEN_READ (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

struct fg_cache;

/* dir_fd, lock_fd, ours; *earlier gets the directory's format when it is an earlier one, else 0. */
int fg_dir_open(struct fg_cache *c, unsigned *earlier, struct fg_err *err);
void fg_dir_close(struct fg_cache *c); /* unlocks */
/* Somebody took away what is open: the directory, its lock file, or the data file `data_fd` (-1:
 * none) is not what is found at its path any more. Says which; NULL: all are in place, or nobody
 * can tell. */
const char *fg_dir_replaced(struct fg_cache *c, int data_fd);
/* A file of the directory that others may write to is refused (base/file.h). */
int fg_dir_check_file(struct fg_cache *c, int fd, const char *name, struct fg_err *err);
int fg_dir_tag(struct fg_cache *c, struct fg_err *err); /* marks the directory as a cache's */
int fg_dir_move_aside(struct fg_cache *c, const char *why, struct fg_err *err);
void fg_dir_remove_aside(struct fg_cache *c); /* removes files that were moved aside */
int fg_errno_code(int e);                     /* an errno as FG_E* */

#endif
