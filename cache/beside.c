#include "beside.h"
#include "dir.h"
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fg_cache_keep_file(struct fg_cache *c, const char *name)
{
    struct fg_beside_file f = {.name = name};
    int fd, rc = FG_EFULL;
    ssize_t n;

    /* Only in another phase does the writer change directories, and it needs mu to enter one. */
    pthread_mutex_lock(&c->mu);
    while (c->handover.phase != FG_PHASE_OPEN)
        pthread_cond_wait(&c->handover.turned, &c->mu);
    fd = openat(c->dir_fd, name, FG_OPEN_READ);
    n = fd >= 0 ? read(fd, f.bytes, sizeof f.bytes) : -1;
    if (n < 0) {
        rc = fg_errno_code(errno);
    } else if ((size_t)n < sizeof f.bytes && c->beside.n < FG_BESIDE_FILES) {
        f.n = (size_t)n;
        c->beside.files[c->beside.n++] = f;
        rc = 0;
    }
    pthread_mutex_unlock(&c->mu);
    if (fd >= 0)
        close(fd);
    explicit_bzero(&f, sizeof f);
    return rc;
}

/* 0 or an errno. A file that is there is another's, and stays. */
static int restore(int dir, const struct fg_beside_file *f)
{
    int e = 0,
        fd = openat(dir, f->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return errno == EEXIST ? 0 : errno;
    errno = ENOSPC; /* of a short write */
    if (fchmod(fd, 0600) != 0 || write(fd, f->bytes, f->n) != (ssize_t)f->n || fsync(fd) != 0 ||
        fsync(dir) != 0)
        e = errno;
    close(fd);
    if (e)
        unlinkat(dir, f->name, 0);
    return e;
}

void fg_beside_restore(struct fg_cache *c)
{
    struct fg_beside b;

    pthread_mutex_lock(&c->mu); /* not held across the disk */
    b = c->beside;
    pthread_mutex_unlock(&c->mu);
    for (size_t i = 0; i < b.n; i++) {
        int e = restore(c->dir_fd, &b.files[i]);

        if (e)
            fg_cache_logf(c, FG_CACHE_LOG_ERROR,
                          "event=not_restored file=%s/%s error=\"%s\" hint=\"what is stored now is "
                          "not found after a restart\"",
                          c->opt.dir, b.files[i].name, strerror(e));
    }
    explicit_bzero(&b, sizeof b);
}

void fg_beside_finish(struct fg_cache *c)
{
    explicit_bzero(&c->beside, sizeof c->beside);
}
