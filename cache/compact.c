/* Compact: gives the file's free space back to the file system. The records are copied into a new
 * file beside it, which then takes its name: a kill leaves the one or the other, whole. */
#include "compact.h"
#include "copy.h"
#include "dir.h"
#include "handle.h"
#include "put_queue.h"
#include "reopen.h"
#include "store.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Bytes of the pages in use, and of the file. */
static int measure(struct fg_cache *c, uint64_t *used, uint64_t *file, struct fg_err *err)
{
    struct fg_reach reach;
    int fd = openat(c->dir_fd, FG_DATA_FILE, FG_OPEN_READ), rc;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = fg_fail(err, fg_errno_code(errno), "%s/%s: %s", c->opt.dir, FG_DATA_FILE,
                     strerror(errno));
    } else {
        rc = fg_check_reach(fd, NULL, NULL, &reach, err);
        if (rc == FG_ECORRUPT)
            fg_report_damage(c, err ? err->text : "a page that does not verify");
    }
    if (fd >= 0)
        close(fd);
    if (rc)
        return rc;
    *file = (uint64_t)st.st_size;
    *used = 2 * (uint64_t)reach.psize;
    for (uint64_t p = 2; p < reach.n_pages; p++)
        if (fg_reached(&reach, p))
            *used += reach.psize;
    free(reach.pages);
    return 0;
}

static int check_room(struct fg_cache *c, uint64_t used, struct fg_err *err)
{
    struct statvfs fs;
    uint64_t room;

    if (fstatvfs(c->dir_fd, &fs) != 0)
        return fg_fail(err, fg_errno_code(errno), "%s: %s", c->opt.dir, strerror(errno));
    room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room < used + used / 16)
        return fg_fail(err, FG_EFULL,
                       "%s: the copy takes %llu bytes, the disk has %llu left; make room or remove "
                       "some of the cache first",
                       c->opt.dir, (unsigned long long)used, (unsigned long long)room);
    return 0;
}

static int copy(struct fg_cache *c, uint64_t used, struct fg_err *err)
{
    size_t n = strlen(c->opt.dir) + sizeof FG_COMPACT_FILE + 1;
    char *path = malloc(n);
    int fd, rc;

    if (!path)
        return fg_fail(err, FG_ENOMEM, "no memory to copy records");
    snprintf(path, n, "%s/%s", c->opt.dir, FG_COMPACT_FILE);
    unlinkat(c->dir_fd, FG_COMPACT_FILE, 0);
    fd = openat(c->dir_fd, FG_COMPACT_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                0600);
    rc = fd < 0 ? fg_fail(err, fg_errno_code(errno), "%s: %s", path, strerror(errno))
                : fg_copy(c, fd, path, used, err);
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

/* LMDB is closed. */
static int take_its_place(struct fg_cache *c, struct fg_err *err)
{
    if (renameat(c->dir_fd, FG_COMPACT_FILE, c->dir_fd, FG_DATA_FILE) != 0 || fsync(c->dir_fd) != 0)
        return fg_fail(err, fg_errno_code(errno), "%s/%s: taking its place: %s", c->opt.dir,
                       FG_COMPACT_FILE, strerror(errno));
    return 0;
}

void fg_compact_run(struct fg_cache *c, struct fg_compact *k)
{
    uint64_t used = 0;

    k->rc = c->store.env && !atomic_load(&c->store.damaged)
                ? measure(c, &used, &k->before, k->err)
                : fg_fail(k->err, FG_EBUSY, "%s: the store is damaged and waits to be reopened",
                          c->opt.dir);
    if (!k->rc)
        k->rc = check_room(c, used, k->err);
    if (!k->rc)
        k->rc = copy(c, used, k->err);
    if (!k->rc)
        k->rc = fg_store_reopen(c, take_its_place, k->err);
    unlinkat(c->dir_fd, FG_COMPACT_FILE, 0);
    if (c->store.env)
        k->after = fg_store_file_bytes(c);
    fg_cache_logf(c, k->rc ? FG_CACHE_LOG_ERROR : FG_CACHE_LOG_INFO,
                  "event=compact dir=%s before=%llu after=%llu result=\"%s\"", c->opt.dir,
                  (unsigned long long)k->before, (unsigned long long)k->after, fg_strerror(k->rc));
}

int fg_cache_compact(struct fg_cache *c, uint64_t *before, uint64_t *after, struct fg_err *err)
{
    struct fg_compact k = {.err = err};
    struct fg_item it = {.op = FG_OP_COMPACT, .compact = &k};

    fg_put_queue_wait(c, &it);
    *before = k.before;
    *after = k.after;
    return k.rc;
}
