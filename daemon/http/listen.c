#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 128, LOCK_TRIES = 40, LOCK_PAUSE_MS = 50 };

static int errno_code(int e)
{
    return e == EACCES || e == EPERM ? FG_EACCESS : e == EADDRINUSE ? FG_EBUSY : FG_EIO;
}

/* Whether anybody may make things there, as in /tmp. */
static bool is_shared(const char *dir)
{
    struct stat st;

    return stat(*dir ? dir : "/", &st) == 0 && (st.st_mode & S_IWOTH);
}

/* Whoever made a directory in a shared place may replace what lies in it. */
static int check_directory(char *dir, struct fg_err *err)
{
    char *slash = strrchr(dir, '/');
    struct stat st;
    bool shared;

    if (!slash)
        return 0;
    *slash = '\0';
    shared = is_shared(dir);
    *slash = '/';
    if (!shared)
        return 0;
    if (lstat(dir, &st) < 0)
        return fg_fail(err, errno_code(errno), "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return fg_fail(err, FG_EACCESS,
                       "%s: others could replace the socket there; it must be a directory, no "
                       "link, your own, and writable by you alone",
                       dir);
    return 0;
}

static int make_directory(const char *path, struct fg_err *err)
{
    const char *slash = strrchr(path, '/');
    char dir[sizeof((struct sockaddr_un *)0)->sun_path];

    if (!slash || slash == path)
        return 0;
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return fg_fail(err, errno_code(errno), "%s: cannot make the socket's directory: %s", dir,
                       strerror(errno));
    return check_directory(dir, err);
}

/* Another daemon that starts holds the lock for a moment, who else holds it may do so for ever. */
static int lock_file(int fd, const char *path, struct fg_err *err)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};

    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fg_fail(err, errno_code(errno), "%s: cannot lock: %s", path, strerror(errno));
        nanosleep(&pause, NULL);
    }
    return fg_fail(err, FG_EBUSY, "%s: another process holds the lock on this file; end it", path);
}

/* With the lock held: removes a socket that nobody answers. */
static int clear_path(const struct sockaddr_un *sa, struct fg_err *err)
{
    struct stat st;
    int fd, r, e;

    if (lstat(sa->sun_path, &st) < 0)
        return errno == ENOENT
                   ? 0
                   : fg_fail(err, errno_code(errno), "%s: %s", sa->sun_path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return fg_fail(err, FG_EINVAL, "%s: is not a socket; name another path or remove the file",
                       sa->sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fg_fail(err, FG_EIO, "%s: cannot make a socket: %s", sa->sun_path, strerror(errno));
    r = connect(fd, (const struct sockaddr *)sa, sizeof *sa);
    e = errno;
    close(fd);
    /* EAGAIN: somebody listens whose queue is full. */
    if (r == 0 || e == EAGAIN || e == EINPROGRESS)
        return fg_fail(err, FG_EBUSY,
                       "%s: another daemon answers on this socket; stop it or use another path",
                       sa->sun_path);
    if (e != ECONNREFUSED && e != ENOENT)
        return fg_fail(err, errno_code(e), "%s: cannot tell whether the socket is in use: %s",
                       sa->sun_path, strerror(e));
    if (unlink(sa->sun_path) < 0 && errno != ENOENT)
        return fg_fail(err, errno_code(errno), "%s: cannot remove the stale socket: %s",
                       sa->sun_path, strerror(errno));
    return 0;
}

static int bind_unix(const struct sockaddr_un *sa, struct fg_unix_socket *s, int *out,
                     struct fg_err *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stat st;

    /* Linux gives the file the mode of the unbound socket; the chmod is for systems that do not. */
    if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)sa, sizeof *sa) < 0 ||
        chmod(sa->sun_path, 0600) < 0 || lstat(sa->sun_path, &st) < 0 || listen(fd, BACKLOG) < 0) {
        int code = fg_fail(err, errno_code(errno), "%s: cannot listen on the socket: %s",
                           sa->sun_path, strerror(errno));

        if (fd >= 0)
            close(fd);
        return code;
    }
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    *out = fd;
    return 0;
}

int fg_listen_unix(const char *path, struct fg_unix_socket *s, int *fd, struct fg_err *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char lock_path[sizeof sa.sun_path + 8];
    size_t n = strlen(path);
    int lock, r;

    if (!n || n >= sizeof sa.sun_path)
        return fg_fail(err, FG_EINVAL, "%s: the socket's path is %zu bytes, it must be 1 to %zu",
                       path, n, sizeof sa.sun_path - 1);
    memcpy(sa.sun_path, path, n);
    r = make_directory(path, err);
    if (r)
        return r;
    snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = lock < 0 ? fg_fail(err, errno_code(errno), "%s: cannot open the lock: %s", lock_path,
                           strerror(errno))
                 : lock_file(lock, lock_path, err);
    if (r)
        goto out;
    s->path = strdup(path);
    r = s->path ? clear_path(&sa, err) : fg_fail(err, FG_ENOMEM, "%s: out of memory", path);
    if (!r)
        r = bind_unix(&sa, s, fd, err);
    if (r) {
        free(s->path);
        s->path = NULL;
    }
out:
    if (lock >= 0)
        close(lock);
    return r;
}

void fg_unix_socket_finish(struct fg_unix_socket *s)
{
    struct stat st;

    if (!s->path)
        return;
    if (lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
        unlink(s->path);
    free(s->path);
    s->path = NULL;
}

static bool is_loopback(const struct sockaddr_storage *sa)
{
    if (sa->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

/* address:port with the address numeric or "localhost", IPv6 in brackets. */
static bool parse_address(const char *addr, struct sockaddr_storage *sa, socklen_t *len)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;
    struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
    const char *colon = strrchr(addr, ':');
    size_t n = colon ? (size_t)(colon - addr) : 0;
    unsigned long port;
    char host[64], *end;

    if (!n || n >= sizeof host || colon[1] < '0' || colon[1] > '9')
        return false;
    port = strtoul(colon + 1, &end, 10);
    if (*end || port > UINT16_MAX)
        return false;
    memcpy(host, addr, n);
    host[n] = '\0';
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *len = sizeof *v6;
        return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    *len = sizeof *v4;
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4->sin_addr) ==
           1;
}

int fg_listen_tcp(const char *addr, bool public_ok, int *fd, uint16_t *port, struct fg_err *err)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = 0, bound = sizeof sa;
    int one = 1, s, code;

    if (!parse_address(addr, &sa, &len))
        return fg_fail(err, FG_EINVAL,
                       "%s: it must be address:port, like 127.0.0.1:8080 or [::1]:8080", addr);
    if (!public_ok && !is_loopback(&sa))
        return fg_fail(err, FG_EUNSUPPORTED,
                       "%s: others can reach this address, so it needs an API key; without one "
                       "use 127.0.0.1 or [::1]",
                       addr);
    s = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(s, (struct sockaddr *)&sa, len) < 0 || listen(s, BACKLOG) < 0 ||
        getsockname(s, (struct sockaddr *)&sa, &bound) < 0) {
        code = fg_fail(err, errno_code(errno), "%s: cannot listen: %s", addr, strerror(errno));
        if (s >= 0)
            close(s);
        return code;
    }
    *port = ntohs(sa.ss_family == AF_INET ? ((struct sockaddr_in *)&sa)->sin_port
                                          : ((struct sockaddr_in6 *)&sa)->sin6_port);
    *fd = s;
    return 0;
}
