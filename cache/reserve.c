#include "reserve.h"
#include "batch.h"
#include "commit.h"
#include "dir.h"
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What deleting takes at most. A transaction that deletes one piece, and a record's own entry with
 * its first one, changes two trees down to a leaf. In 16 GiB of the smallest records they have four
 * levels; on each LMDB may change a neighbour as well: 16 pages. The databases' own records, the
 * mark and the clock are 4, the tree of the free list 6, what was freed (1024 pages) 3. What is
 * left of an entry of the free list that was taken from is written to pages of its own. These are
 * 29 pages, and what a transaction frees serves the second one after: 3 * 29 are enough for any
 * number of them in a row. PAGES says it with room to spare; FEW at once is tried first. */
enum { PAGES = 128, STEP = 32 << 10, PART = 8, FEW = 16 };

bool fg_disk_is_full(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

static int open_reserve(struct fg_cache *c)
{
    return openat(c->dir_fd, FG_RESERVE_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Of a file system, or a limit, of so many bytes. */
static uint64_t reserve_of(uint64_t bytes)
{
    uint64_t most = PAGES * (uint64_t)sysconf(_SC_PAGESIZE);

    return bytes / PART < most ? bytes / PART : most;
}

static uint64_t wanted(struct fg_cache *c)
{
    struct statvfs fs;

    return reserve_of(fstatvfs(c->dir_fd, &fs) == 0 ? (uint64_t)fs.f_blocks * fs.f_frsize
                                                    : UINT64_MAX);
}

void fg_reserve_take(struct fg_cache *c)
{
    struct fg_reserve *r = &c->reserve;
    struct stat st;
    int fd;

    if (!r->want)
        r->want = wanted(c);
    if (fstatat(c->dir_fd, FG_RESERVE_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0)
        r->bytes = 0;
    else if ((uint64_t)st.st_size < r->bytes)
        r->bytes = (uint64_t)st.st_size; /* somebody cut it */
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
    e = posix_fallocate(fd, (off_t)c->reserve.bytes, (off_t)reserve_of(UINT64_MAX));
    if (ftruncate(fd, (off_t)c->reserve.bytes) != 0)
        c->reserve.bytes = 0; /* counted anew when it is taken next */
    close(fd);
    return fg_disk_is_full(e) ? e : EIO;
}

bool fg_reserve_is_whole(struct fg_cache *c, uint64_t bytes)
{
    uint64_t limit = size_limit();
    struct statvfs fs;
    struct stat st;

    if (c->reserve.bytes < c->reserve.want)
        return false;
    if (limit && fstatat(c->dir_fd, FG_DATA_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        (uint64_t)st.st_size + bytes + reserve_of(limit) > limit)
        return false;
    return fstatvfs(c->dir_fd, &fs) != 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

/* Pages of the free list that the next transaction may take; counts no further than `enough`. Pages
 * that the newest one freed are not among them. */
static int count_free(MDB_txn *txn, uint64_t enough, uint64_t *n)
{
    const MDB_dbi free_list = 0; /* key: transaction; value: a number of pages, and the pages */
    MDB_cursor *cur;
    MDB_val k, v;
    int rc = mdb_cursor_open(txn, free_list, &cur);

    *n = 0;
    if (rc)
        return rc;
    while (*n < enough && (rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
        uint64_t freed_by, pages;

        if (k.mv_size != sizeof freed_by || v.mv_size < sizeof pages) {
            rc = MDB_CORRUPTED;
            break;
        }
        memcpy(&freed_by, k.mv_data, sizeof freed_by);
        memcpy(&pages, v.mv_data, sizeof pages);
        if (freed_by >= mdb_txn_id(txn))
            break;
        if (pages > v.mv_size / sizeof pages - 1) {
            rc = MDB_CORRUPTED;
            break;
        }
        *n += pages;
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Pages of the trees, which is as many as a transaction can change. */
static uint64_t tree_pages(const struct fg_cache *c, MDB_txn *txn)
{
    uint64_t n = 0;
    MDB_stat st;

    for (int i = 0; i < FG_DBS; i++)
        if (mdb_stat(txn, c->store.db[i], &st) == 0)
            n += st.ms_branch_pages + st.ms_leaf_pages;
    return n;
}

/* Bytes by which the file may grow, the reserve's among them. What the disk has left counts where
 * there was enough for the reserve: else it is what somebody else has just made free, or may not
 * be had (a quota). */
static int room_to_grow(struct fg_cache *c, uint64_t limit, uint64_t *room)
{
    struct statvfs fs;
    MDB_envinfo info;
    struct stat st;
    mdb_filehandle_t fd;
    uint64_t used;
    int rc = mdb_env_info(c->store.env, &info);

    if (!rc)
        rc = mdb_env_get_fd(c->store.env, &fd);
    if (!rc && fstat(fd, &st) != 0)
        rc = errno;
    if (rc)
        return rc;
    used = (info.me_last_pgno + 1) * (uint64_t)c->store.psize;
    *room = c->reserve.bytes + ((uint64_t)st.st_size > used ? (uint64_t)st.st_size - used : 0);
    if (c->reserve.bytes >= c->reserve.want && fstatvfs(c->dir_fd, &fs) == 0)
        *room += (uint64_t)fs.f_bavail * fs.f_frsize;
    if (limit && *room > (limit > used ? limit - used : 0))
        *room = limit > used ? limit - used : 0;
    return 0;
}

int fg_reserve_allows(struct fg_cache *c, struct fg_batch *b)
{
    enum { CHANGED = 4, OWN = 16 }; /* pages for a record; for the databases' own, and the like */
    uint64_t limit = size_limit(), page = c->store.psize, room, most, n, lacks;
    uint64_t keep =
        limit && reserve_of(limit) < c->reserve.want ? reserve_of(limit) : c->reserve.want;
    uint64_t done = (uint64_t)b->written * FG_RECORD_PIECE;
    uint64_t need = keep + (b->cost > done ? b->cost - done : 0) + OWN * page;
    uint64_t changed = CHANGED * (b->n_puts + b->n_victims + b->n_touches);
    MDB_txn *txn;
    int rc = room_to_grow(c, limit, &room);

    if (rc || room >= need + changed * page)
        return rc;
    rc = mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    most = tree_pages(c, txn);
    need += (changed < most ? changed : most) * page;
    lacks = need > room ? (need - room + page - 1) / page : 0;
    rc = count_free(txn, lacks, &n);
    mdb_txn_abort(txn);
    if (rc || n >= lacks)
        return rc;
    b->lacks = (lacks - n) * page;
    return limit ? EFBIG : ENOSPC;
}

static bool is_left(const struct fg_batch *b, unsigned what)
{
    return (what & FG_COMMIT_CHORES && b->deleted < b->n_victims) ||
           (what & FG_COMMIT_MARK && b->unrooted < b->n_roots) ||
           (what & FG_COMMIT_UNPUT && b->unfinished);
}

int fg_reserve_commit(struct fg_cache *c, struct fg_batch *b, unsigned what)
{
    int rc = fg_commit(c, b, what);

    if (!fg_disk_is_full(rc))
        return rc;
    fg_reserve_give(c);
    b->few = FEW;
    for (;;) {
        rc = fg_commit(c, b, what);
        if (rc && !(fg_disk_is_full(rc) && b->few > 1))
            break;
        if (!rc && !is_left(b, what))
            break;
        b->few = rc ? 1 : FEW;
    }
    b->few = 0;
    fg_reserve_take(c);
    return rc;
}
