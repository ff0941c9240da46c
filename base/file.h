/* Files, whole. Any thread. */
#ifndef FG_BASE_FILE_H
#define FG_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "fulgur/error.h"

/* An errno as FG_E*: FG_EACCESS, FG_EFULL, FG_EINVAL (a path that cannot be), FG_ENOMEM, else
 * FG_EIO.
 */
int fg_errno_code(int e);

/* All bytes of a regular file, `most` at most: *bytes is malloc'd and the caller's, NUL-terminated
 * beyond its *n bytes. FG_ENOTFOUND, FG_EFULL (it is larger), FG_EIO (it is no regular file, or
 * shrank meanwhile), FG_EACCESS, FG_ENOMEM; *bytes is NULL then. */
int fg_file_read(const char *path, size_t most, char **bytes, size_t *n, struct fg_err *err);

/* Puts a file with these bytes at `path`, mode 0600: written beside and renamed, so that a reader
 * sees all of the old or all of the new, and a failure leaves the old. Not flushed to the disk: for
 * what can be made again. Codes of fg_errno_code(). */
int fg_file_replace(const char *path, const void *bytes, size_t n, struct fg_err *err);

/* Makes the directory and those above it that are not there, with this mode (less the umask). */
int fg_make_dirs(const char *path, mode_t mode, struct fg_err *err);

/* Refuses an open file or directory that somebody else could have written: one that belongs to
 * another user than the process's effective one, or that its group or others may write. path: for
 * the message, which says what was found and what would be right. FG_EACCESS, FG_EIO. */
int fg_check_private(int fd, const char *path, struct fg_err *err);
/* Makes the directory and those above it that are not there, with mode 0700, and checks it so.
 * Codes of fg_make_dirs() and fg_check_private(). */
int fg_make_private_dir(const char *path, struct fg_err *err);

#endif
