/* Listening sockets: the Unix socket's file and its life, and TCP addresses. */
#ifndef FG_HTTP_LISTEN_H
#define FG_HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fulgur/error.h"

/* A bound socket file; knows its inode, so that only our own is ever removed. */
struct fg_unix_socket {
    char *path; /* NULL: none */
    dev_t dev;
    ino_t ino;
};

/* Listens at `path`; *fd is the caller's. PATH.lock beside it makes finding out whether the socket
 * is stale and replacing it one step; that file stays. In a place where anybody may make
 * directories, like /tmp, the socket's must be the user's own, writable by nobody else, and no
 * link (FG_EACCESS). FG_EBUSY (also: somebody holds the lock for two seconds), FG_EINVAL, FG_EACCESS,
 * FG_EIO, FG_ENOMEM. */
int fg_listen_unix(const char *path, struct fg_unix_socket *s, int *fd, struct fg_err *err);
/* Removes the file if it is still the one that was bound, and frees the path. */
void fg_unix_socket_finish(struct fg_unix_socket *s);

/* Listens at host:port; *fd is the caller's, *port the one that was bound. Without `public_ok` an
 * address that other machines can reach is refused, FG_EUNSUPPORTED. FG_EBUSY, FG_EINVAL,
 * FG_EACCESS, FG_EIO. */
int fg_listen_tcp(const char *addr, bool public_ok, int *fd, uint16_t *port, struct fg_err *err);

#endif
