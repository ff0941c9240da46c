#include "reserve.h"
#include "batch.h"
#include "commit.h"
#include "dir.h"
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A transaction that deletes FEW records changes three pages for each (two leaves, a branch) and
 * some for the databases' own records and the free list. */
enum { MOST = 512 << 10, STEP = 32 << 10, PART = 8, FEW = 16 };

bool fg_disk_is_full(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

static int open_reserve(struct fg_cache *c)
{
    return openat(c->dir_fd, FG_RESERVE_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static uint64_t wanted(struct fg_cache *c)
{
    struct statvfs fs;
    uint64_t part;

    if (fstatvfs(c->dir_fd, &fs) != 0)
        return MOST;
    part = (uint64_t)fs.f_blocks * fs.f_frsize / PART;
    return part < MOST ? part : MOST;
}

void fg_reserve_take(struct fg_cache *c)
{
    struct fg_reserve *r = &c->reserve;
    int fd;

    if (!r->want)
        r->want = wanted(c);
    if (r->bytes >= r->want)
        return;
    fd = open_reserve(c);
    if (fd < 0)
        return;
    while (r->bytes < r->want && posix_fallocate(fd, (off_t)r->bytes, STEP) == 0)
        r->bytes += STEP;
    close(fd);
}

void fg_reserve_give(struct fg_cache *c)
{
    int fd = open_reserve(c);

    c->reserve = (struct fg_reserve){0};
    if (fd < 0)
        return;
    /* Synced: some file systems free blocks with their next transaction. */
    if (ftruncate(fd, 0) == 0)
        fsync(fd);
    close(fd);
}

/* 0: no limit. */
static uint64_t size_limit(void)
{
    struct rlimit lim;

    return getrlimit(RLIMIT_FSIZE, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY
               ? (uint64_t)lim.rlim_cur
               : 0;
}

int fg_reserve_cause(struct fg_cache *c)
{
    uint64_t limit = size_limit();
    struct stat st;
    int fd, e;

    if (limit && fstatat(c->dir_fd, FG_DATA_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        (uint64_t)st.st_size + STEP > limit)
        return EFBIG;
    fd = open_reserve(c);
    if (fd < 0)
        return EIO;
    e = posix_fallocate(fd, (off_t)c->reserve.bytes, MOST);
    if (ftruncate(fd, (off_t)c->reserve.bytes) != 0)
        c->reserve.bytes = 0; /* counted anew when it is taken next */
    close(fd);
    return fg_disk_is_full(e) ? e : EIO;
}

static uint64_t room_below(uint64_t limit)
{
    return limit / PART < MOST ? limit / PART : MOST;
}

bool fg_reserve_is_whole(struct fg_cache *c, uint64_t bytes)
{
    uint64_t limit = size_limit();
    struct statvfs fs;
    struct stat st;

    if (c->reserve.bytes < c->reserve.want)
        return false;
    if (limit && fstatat(c->dir_fd, FG_DATA_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        (uint64_t)st.st_size + bytes + room_below(limit) > limit)
        return false;
    return fstatvfs(c->dir_fd, &fs) != 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

bool fg_reserve_over_limit(struct fg_cache *c, uint64_t bytes)
{
    uint64_t limit = size_limit(), used;
    MDB_envinfo info;

    if (!limit || mdb_env_info(c->store.env, &info) != 0)
        return false;
    used = (info.me_last_pgno + 1) * (uint64_t)c->store.psize;
    return used + bytes + bytes / 8 > limit - room_below(limit);
}

int fg_reserve_commit(struct fg_cache *c, struct fg_batch *b, unsigned what)
{
    int rc = fg_commit(c, b, what);

    if (!fg_disk_is_full(rc))
        return rc;
    fg_reserve_give(c);
    for (b->few = FEW; b->few && fg_disk_is_full(rc); b->few /= FEW)
        do
            rc = fg_commit(c, b, what);
        while (!rc && b->deleted < b->n_victims);
    b->few = 0;
    fg_reserve_take(c);
    return rc;
}
