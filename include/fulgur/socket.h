/* Where the daemon listens and its clients look when nobody says otherwise. */
#ifndef FULGUR_SOCKET_H
#define FULGUR_SOCKET_H

#include <stddef.h>

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that a Unix socket's path may take, its NUL included (sun_path on Linux). */
#define FG_SOCKET_PATH_MAX 108

/* Writes the default path of the daemon's Unix socket, NUL-terminated, into path[0..bytes):
 * 1. $FULGUR_SOCKET, when set and not empty;
 * 2. $XDG_RUNTIME_DIR/fulgur/fulgur.sock, when set to an absolute path and the user is not root;
 * 3. /run/fulgur/fulgur.sock, when that exists or this process may create it;
 * 4. /tmp/fulgur-UID/fulgur.sock, UID being the effective user's.
 * The directory of 4 must be the user's own with mode 0700, since anybody may create it in /tmp:
 * where it exists and is not, the answer is FG_EACCESS. Creates nothing: the daemon makes the
 * socket's directory with mode 0700 before it listens.
 * 0; FG_EINVAL when the path does not fit in `bytes` or in FG_SOCKET_PATH_MAX (path is "" then);
 * FG_EACCESS (path says which). Any thread, while none changes the environment. */
FG_API int fg_default_socket_path(char *path, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
