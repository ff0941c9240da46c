#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fg_errno_code(int e)
{
    switch (e) {
    case ENOMEM: return FG_ENOMEM;
    case EACCES:
    case EPERM:
    case EROFS: return FG_EACCESS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return FG_EFULL;
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP: return FG_EINVAL;
    }
    return FG_EIO;
}

static int fail(struct fg_err *err, const char *path, int e)
{
    return fg_fail(err, e == ENOENT ? FG_ENOTFOUND : fg_errno_code(e), "%s: %s", path, strerror(e));
}

/* Reads the n bytes that the file has. */
static int read_open(int fd, const char *path, size_t n, char *bytes, struct fg_err *err)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, bytes + at, n - at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(err, path, errno);
        if (got == 0)
            return fg_fail(err, FG_EIO, "%s: ended after %zu of %zu bytes", path, at, n);
        at += (size_t)got;
    }
    bytes[n] = '\0';
    return 0;
}

int fg_file_read(const char *path, size_t most, char **bytes, size_t *n, struct fg_err *err)
{
    /* Without O_NONBLOCK a pipe would be waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    int rc = 0;

    *bytes = NULL;
    *n = 0;
    if (fd < 0)
        return fail(err, path, errno);
    if (fstat(fd, &st) != 0)
        rc = fail(err, path, errno);
    else if (!S_ISREG(st.st_mode))
        rc = fg_fail(err, FG_EIO, "%s: is not a regular file", path);
    else if ((uintmax_t)st.st_size > most || (uintmax_t)st.st_size >= SIZE_MAX)
        rc = fg_fail(err, FG_EFULL, "%s: has %jd bytes, may have %zu at most", path,
                     (intmax_t)st.st_size, most);
    else if (!(*bytes = malloc((size_t)st.st_size + 1)))
        rc = fg_fail(err, FG_ENOMEM, "%s: no memory for its %jd bytes", path, (intmax_t)st.st_size);
    else
        rc = read_open(fd, path, (size_t)st.st_size, *bytes, err);
    close(fd);
    if (rc) {
        free(*bytes);
        *bytes = NULL;
        return rc;
    }
    *n = (size_t)st.st_size;
    return 0;
}

/* 0 or an errno. */
static int write_open(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno != EINTR)
            return errno;
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

int fg_file_replace(const char *path, const void *bytes, size_t n, struct fg_err *err)
{
    size_t room = strlen(path) + sizeof ".XXXXXX";
    char *temp = malloc(room);
    int fd, e = 0;

    if (!temp)
        return fg_fail(err, FG_ENOMEM, "%s: no memory for a path", path);
    snprintf(temp, room, "%s.XXXXXX", path);
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        e = errno;
    } else {
        e = write_open(fd, bytes, n);
        /* What was written late fails late. */
        if (close(fd) != 0 && !e)
            e = errno;
        if (!e && rename(temp, path) != 0)
            e = errno;
        if (e)
            unlink(temp);
    }
    free(temp);
    return e ? fg_fail(err, fg_errno_code(e), "%s: %s", path, strerror(e)) : 0;
}

int fg_make_dirs(const char *path, mode_t mode, struct fg_err *err)
{
    char *above = strdup(path);
    int rc = 0;

    if (!above)
        return fg_fail(err, FG_ENOMEM, "%s: no memory for a path", path);
    for (char *p = *above ? above + 1 : above; !rc; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(above, mode) != 0) {
            int e = errno;
            struct stat st;

            /* A parent on a read-only file system says EROFS although it exists. */
            if (stat(above, &st) != 0)
                rc = fg_fail(err, fg_errno_code(e == ENOENT ? EACCES : e),
                             "%s: cannot make the folder: %s", above, strerror(e));
            else if (!S_ISDIR(st.st_mode))
                rc = fg_fail(err, FG_EINVAL, "%s: cannot make the folder: %s", above,
                             strerror(ENOTDIR));
        }
        *p = c;
        if (c == '\0')
            break;
    }
    free(above);
    return rc;
}

int fg_check_private(int fd, const char *path, struct fg_err *err)
{
    struct stat st;
    unsigned uid = (unsigned)geteuid(), right;

    if (fstat(fd, &st) != 0)
        return fg_fail(err, FG_EIO, "%s: %s", path, strerror(errno));
    right = S_ISDIR(st.st_mode) ? 0700 : 0600;
    if (st.st_uid != uid)
        return fg_fail(err, FG_EACCESS,
                       "%s belongs to user %u and has mode %04o; it has to belong to user %u, who "
                       "runs this, with mode %04o",
                       path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777, uid, right);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return fg_fail(err, FG_EACCESS,
                       "%s has mode %04o (owner: user %u): others may write to it; mode %04o is "
                       "right",
                       path, (unsigned)st.st_mode & 07777, uid, right);
    return 0;
}

int fg_make_private_dir(const char *path, struct fg_err *err)
{
    int rc = fg_make_dirs(path, 0700, err), fd;

    if (rc)
        return rc;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, path, errno);
    rc = fg_check_private(fd, path, err);
    close(fd);
    return rc;
}
