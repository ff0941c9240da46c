#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/sha256.h"

static int fail(struct fg_err *err, const char *path, const char *what)
{
    int code = errno == ENOSPC || errno == EDQUOT || errno == EFBIG  ? FG_EFULL
               : errno == EACCES || errno == EPERM || errno == EROFS ? FG_EACCESS
                                                                     : FG_EIO;

    return fg_fail(err, code, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* The tag that was written down, if it was for this URL. */
static void read_tag(struct fg_part *p, const char *url)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(p->from, "re");

    if (f && getline(&line, &room, f) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, url) == 0 && fgets(p->tag, sizeof p->tag, f)) {
            p->tag[strcspn(p->tag, "\n")] = '\0';
        }
    }
    free(line);
    if (f) {
        fclose(f);
    }
}

int fg_part_init(struct fg_part *p, const char *path, const char *url, struct fg_err *err)
{
    struct stat st;
    int rc = 0;

    memset(p, 0, sizeof *p);
    p->fd = -1;
    if (asprintf(&p->path, "%s.part", path) < 0) {
        p->path = NULL;
    }
    if (!p->path || asprintf(&p->from, "%s.from", p->path) < 0) {
        free(p->path);
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (p->fd < 0) {
        rc = fail(err, p->path, "open it");
    } else if (fstat(p->fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        rc = fg_fail(err, FG_EINVAL, "%s: is not a regular file", p->path);
    } else if (flock(p->fd, LOCK_EX | LOCK_NB) != 0) {
        rc = fg_fail(err, FG_EBUSY, "%s: another process is fetching it", p->path);
    } else if (fstat(p->fd, &st) != 0) {
        rc = fail(err, p->path, "look at it");
    } else {
        read_tag(p, url);
        p->bytes = st.st_size;
        if (p->bytes == 0 || !p->tag[0]) {
            rc = fg_part_restart(p, err);
        }
    }
    if (rc < 0) {
        if (p->fd >= 0) {
            close(p->fd);
        }
        free(p->path);
        free(p->from);
    }
    return rc;
}

void fg_part_finish(struct fg_part *p)
{
    if (!p->tag[0]) {
        fg_part_remove(p);
    }
    if (p->fd >= 0) {
        close(p->fd);
    }
    free(p->path);
    free(p->from);
}

int fg_part_restart(struct fg_part *p, struct fg_err *err)
{
    p->tag[0] = '\0';
    if (ftruncate(p->fd, 0) != 0) {
        return fail(err, p->path, "empty it");
    }
    p->bytes = 0;
    return 0;
}

int fg_part_tag(struct fg_part *p, const char *url, const char *tag, struct fg_err *err)
{
    int fd = open(p->from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    int ok = f && fprintf(f, "%s\n%s\n", url, tag) > 0;

    if ((f && fclose(f) != 0) || !ok) {
        return fail(err, p->from, "write it");
    }
    snprintf(p->tag, sizeof p->tag, "%s", tag);
    return 0;
}

int fg_part_room(const struct fg_part *p, int64_t more, struct fg_err *err)
{
    struct statvfs fs;

    if (fstatvfs(p->fd, &fs) != 0) {
        return fail(err, p->path, "look at its file system");
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (more > 0 && (uint64_t)more > free_bytes) {
        return fg_fail(err, FG_EFULL,
                       "%s: %" PRId64 " bytes are to come and %" PRIu64 " are free on the disk",
                       p->path, more, free_bytes);
    }
    return 0;
}

int fg_part_add(struct fg_part *p, const char *data, size_t n, struct fg_err *err)
{
    while (n > 0) {
        ssize_t k = pwrite(p->fd, data, n, (off_t)p->bytes);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k <= 0) {
            return fail(err, p->path, "write to it");
        }
        data += k;
        n -= (size_t)k;
        p->bytes += k;
    }
    return 0;
}

int fg_part_check(struct fg_part *p, void (*progress)(void *ctx, int64_t done, int64_t total),
                  void *ctx, char sha256[65], struct fg_err *err)
{
    enum { BLOCK = 1 << 20 };
    struct fg_sha256 sum;
    char *block = malloc(BLOCK);
    int rc = block ? 0 : fg_fail(err, FG_ENOMEM, "out of memory");

    fg_sha256_init(&sum);
    for (int64_t at = 0; rc == 0 && at < p->bytes;) {
        ssize_t k = pread(p->fd, block, BLOCK, (off_t)at);
        if (k <= 0) {
            rc = fail(err, p->path, "read it");
        } else if (at == 0 && (k < 4 || memcmp(block, "GGUF", 4) != 0)) {
            rc = FG_EFORMAT;
        } else {
            fg_sha256_add(&sum, block, (size_t)k);
            at += k;
            if (progress) {
                progress(ctx, at, p->bytes);
            }
        }
    }
    free(block);
    fg_sha256_hex(&sum, sha256);
    return rc == 0 && p->bytes == 0 ? FG_EFORMAT : rc;
}

int fg_part_finish_file(struct fg_part *p, const char *path, struct fg_err *err)
{
    if (fsync(p->fd) != 0) {
        return fail(err, p->path, "write it to the disk");
    }
    if (rename(p->path, path) != 0) {
        return fail(err, path, "put it there");
    }
    (void)unlink(p->from);
    return 0;
}

void fg_part_remove(struct fg_part *p)
{
    (void)unlink(p->path);
    (void)unlink(p->from);
}
