#include "store.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_READERS = 512, LOCK_FILE_BYTES = 64 << 10, SPARE_PAGES = 64 };

static const char *const db_names[FG_DBS] = {"meta",       "blocks",     "states",
                                             "block_data", "state_data", "roots"};

bool fg_mdb_damaged(int rc)
{
    switch (rc) {
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_PANIC:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_CURSOR_FULL:
    case MDB_BAD_DBI:
    case MDB_BAD_TXN: return true; /* a tree's root could not be read */
    }
    return false;
}

static int mdb_code(int rc)
{
    if (rc > 0)
        return fg_errno_code(rc);
    if (rc == MDB_MAP_FULL)
        return FG_EFULL;
    if (rc == MDB_VERSION_MISMATCH)
        return FG_EFORMAT;
    return fg_mdb_damaged(rc) ? FG_ECORRUPT : FG_EIO;
}

static int fail(struct fg_cache *c, struct fg_err *err, int rc, const char *what)
{
    return fg_fail(err, mdb_code(rc), "%s/%s: %s: %s", c->opt.dir, FG_DATA_FILE, what,
                   mdb_strerror(rc));
}

static void on_assert(MDB_env *env, const char *msg)
{
    struct fg_cache *c = mdb_env_get_userctx(env);

    /* LMDB aborts when this returns; the next start checks the file. */
    fg_cache_logf(c, FG_CACHE_LOG_ERROR, "event=lmdb_assert dir=%s text=\"%s\"", c->opt.dir, msg);
}

/* Whether there is a file to open, and whether LMDB may see it. */
static int check_data_file(struct fg_cache *c, bool deep, uint64_t *size, struct fg_err *err)
{
    int fd = openat(c->dir_fd, FG_DATA_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
    struct stat st;

    *size = 0;
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        rc = fg_fail(err, fg_errno_code(errno), "%s/%s: %s", c->opt.dir, FG_DATA_FILE,
                     strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = fg_fail(err, FG_EINVAL, "%s/%s is not a regular file", c->opt.dir, FG_DATA_FILE);
    else if ((*size = (uint64_t)st.st_size) > 0)
        rc = fg_check_file(fd, deep, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* LMDB maps its lock file and writes to the map: with a hole in it, a full disk would be SIGBUS. */
static int allocate_lock_file(struct fg_cache *c, struct fg_err *err)
{
    int fd = openat(c->dir_fd, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), e;

    if (fd < 0)
        return fg_fail(err, fg_errno_code(errno), "%s/lock.mdb: %s", c->opt.dir, strerror(errno));
    e = posix_fallocate(fd, 0, LOCK_FILE_BYTES);
    close(fd);
    if (e)
        return fg_fail(err, fg_errno_code(e), "%s/lock.mdb: cannot allocate %d bytes: %s",
                       c->opt.dir, LOCK_FILE_BYTES, strerror(e));
    return 0;
}

/* Room beyond the budget: pages that are freed in a transaction serve again two later. Room beyond
 * a file that an earlier, larger budget filled: evicting takes pages first. */
static uint64_t map_bytes(const struct fg_cache *c, uint64_t file_bytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t n = c->opt.max_bytes + c->opt.max_bytes / 8 + SPARE_PAGES * page;

    if (file_bytes > n)
        n = file_bytes + file_bytes / 32 + SPARE_PAGES * page;
    return (n + page - 1) / page * page;
}

static int open_env(struct fg_cache *c, uint64_t file_bytes, struct fg_err *err)
{
    MDB_stat st;
    int dead, rc = mdb_env_create(&c->env);

    if (rc) {
        c->env = NULL;
        return fail(c, err, rc, "cannot begin");
    }
    mdb_env_set_userctx(c->env, c);
    mdb_env_set_assert(c->env, on_assert);
    rc = mdb_env_set_maxdbs(c->env, FG_DBS);
    if (!rc)
        rc = mdb_env_set_maxreaders(c->env, MAX_READERS);
    if (!rc)
        rc = mdb_env_set_mapsize(c->env, map_bytes(c, file_bytes));
    if (!rc)
        rc = mdb_env_open(c->env, c->opt.dir, MDB_NOTLS, 0600);
    if (!rc)
        rc = mdb_env_stat(c->env, &st);
    if (rc)
        return fail(c, err, rc, "cannot open");
    mdb_reader_check(c->env, &dead);
    atomic_store(&c->file_bytes, 0);
    c->psize = c->ix.psize = st.ms_psize;
    /* What is left takes the trees' inner pages, the free list and pages that wait to be reused. */
    c->target = c->opt.max_bytes - c->opt.max_bytes / 8;
    if (c->target > c->opt.max_bytes / 2 + 16 * (uint64_t)c->psize)
        c->target -= 16 * (uint64_t)c->psize;
    return 0;
}

static int put_meta(struct fg_cache *c, MDB_txn *txn, const char *name, void *p, size_t n)
{
    MDB_val k = {strlen(name), (void *)name}, v = {n, p};

    return mdb_put(txn, c->db[FG_DB_META], &k, &v, 0);
}

static int create_dbs(struct fg_cache *c, struct fg_err *err)
{
    uint8_t format[FG_FORMAT_BYTES], clock[FG_CLOCK_BYTES];
    MDB_txn *txn;
    int rc = mdb_txn_begin(c->env, NULL, 0, &txn);

    if (rc)
        return fail(c, err, rc, "cannot begin a transaction");
    fg_format_encode(FG_FORMAT_VERSION, format);
    fg_clock_encode(0, clock);
    for (int i = 0; !rc && i < FG_DBS; i++)
        rc = mdb_dbi_open(txn, db_names[i], MDB_CREATE, &c->db[i]);
    if (!rc)
        rc = put_meta(c, txn, "format", format, sizeof format);
    if (!rc)
        rc = put_meta(c, txn, "clock", clock, sizeof clock);
    if (!rc)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (!rc && fsync(c->dir_fd) != 0)
        rc = errno;
    return rc ? fail(c, err, rc, "cannot create the databases") : 0;
}

static int check_format(struct fg_cache *c, MDB_txn *txn, struct fg_err *err)
{
    MDB_val k = {6, (void *)"format"}, v;
    uint32_t version;
    int rc = mdb_get(txn, c->db[FG_DB_META], &k, &v);

    if (rc == MDB_NOTFOUND || (!rc && fg_format_decode(v.mv_data, v.mv_size, &version)))
        return fg_fail(err, FG_ECORRUPT, "%s/%s: no valid format record", c->opt.dir, FG_DATA_FILE);
    if (rc)
        return fail(c, err, rc, "cannot read the format record");
    if (version != FG_FORMAT_VERSION)
        return fg_fail(err, FG_EFORMAT,
                       "%s/%s has format %" PRIu32 ", this build reads and writes format %u; use "
                       "another directory, or remove this one to begin anew",
                       c->opt.dir, FG_DATA_FILE, version, (unsigned)FG_FORMAT_VERSION);
    return 0;
}

static int open_dbs(struct fg_cache *c, struct fg_err *err)
{
    MDB_txn *txn;
    MDB_dbi names;
    MDB_stat st;
    int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);

    if (rc)
        return fail(c, err, rc, "cannot begin reading");
    rc = mdb_dbi_open(txn, NULL, 0, &names);
    if (!rc)
        rc = mdb_stat(txn, names, &st);
    if (!rc && st.ms_entries == 0) {
        mdb_txn_abort(txn);
        return create_dbs(c, err);
    }
    for (int i = 0; !rc && i < FG_DBS; i++)
        rc = mdb_dbi_open(txn, db_names[i], 0, &c->db[i]);
    if (rc == MDB_NOTFOUND)
        rc =
            fg_fail(err, FG_ECORRUPT, "%s/%s lacks databases of a cache", c->opt.dir, FG_DATA_FILE);
    else if (rc)
        rc = fail(c, err, rc, "cannot open the databases");
    else
        rc = check_format(c, txn, err);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    /* Handles opened in a transaction stay when it ends well. */
    rc = mdb_txn_commit(txn);
    return rc ? fail(c, err, rc, "cannot open the databases") : 0;
}

uint64_t fg_store_file_bytes(struct fg_cache *c)
{
    uint64_t before = atomic_load(&c->file_bytes), seen = before, now;
    mdb_filehandle_t fd;
    struct stat st;

    if (mdb_env_get_fd(c->env, &fd) != 0 || fstat(fd, &st) != 0)
        return seen;
    now = (uint64_t)st.st_size;
    while (now > seen && !atomic_compare_exchange_weak(&c->file_bytes, &seen, now))
        ;
    /* Not `seen`: another thread may have met the file when it had grown further. */
    if (now >= before)
        return now;
    fg_report_damage(c, "the data file became shorter");
    return 0;
}

/* Where the map begins, which LMDB does not tell: from a page that holds a known record, whose
 * number the check has verified. */
static int find_map(struct fg_cache *c, struct fg_err *err)
{
    MDB_val k = {6, (void *)"format"}, v;
    uint64_t number;
    const char *page;
    MDB_txn *txn;
    int rc;

    if (c->psize > (uint64_t)sysconf(_SC_PAGESIZE))
        return fg_fail(err, FG_EFORMAT,
                       "%s/%s has pages of %u bytes, from another machine; this one's are %ld; "
                       "use another directory, or remove this one to begin anew",
                       c->opt.dir, FG_DATA_FILE, c->psize, sysconf(_SC_PAGESIZE));
    rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return fail(c, err, rc, "cannot begin reading");
    rc = mdb_get(txn, c->db[FG_DB_META], &k, &v);
    if (!rc) {
        page = (const char *)((uintptr_t)v.mv_data & ~((uintptr_t)c->psize - 1));
        memcpy(&number, page, sizeof number);
        c->map = page - number * c->psize;
    }
    mdb_txn_abort(txn);
    return rc ? fail(c, err, rc, "cannot read the format record") : 0;
}

void fg_store_close(struct fg_cache *c)
{
    if (c->env)
        mdb_env_close(c->env);
    c->env = NULL;
}

static int try_open(struct fg_cache *c, bool deep, struct fg_err *err)
{
    uint64_t size;
    int rc = check_data_file(c, deep, &size, err);

    if (rc)
        return rc;
    if (c->ours)
        unlinkat(c->dir_fd, FG_COMPACT_FILE, 0); /* a compaction that was cut short */
    if (size == 0 && !c->ours)
        rc = fg_dir_tag(c, err);
    if (!rc)
        rc = allocate_lock_file(c, err);
    if (!rc)
        rc = open_env(c, size, err);
    if (!rc)
        rc = open_dbs(c, err);
    if (!rc)
        rc = find_map(c, err);
    if (!rc)
        rc = fg_store_load(c, err);
    if (!rc)
        fg_store_file_bytes(c);
    if (rc) {
        fg_store_close(c);
        if (size == 0)
            unlinkat(c->dir_fd, FG_DATA_FILE, 0);
    }
    return rc;
}

int fg_store_open(struct fg_cache *c, bool deep, struct fg_err *err)
{
    struct fg_err why = {0};
    int rc = try_open(c, deep, &why);

    if (rc == FG_ECORRUPT && !c->ours)
        return fg_fail(err, FG_EFORMAT,
                       "%.200s/%s is not a fulgur cache, or damaged (%.200s); move it away to "
                       "begin anew",
                       c->opt.dir, FG_DATA_FILE, why.text);
    if (rc == FG_ECORRUPT) {
        fg_index_reset(&c->ix);
        rc = fg_dir_move_aside(c, why.text, &why);
        if (!rc)
            rc = try_open(c, false, &why);
    }
    if (!rc && !c->ours)
        fg_dir_tag(c, NULL);
    return rc ? fg_fail(err, rc == FG_ECORRUPT ? FG_EIO : rc, "%s", why.text) : 0;
}

bool fg_store_enter(struct fg_cache *c)
{
    pthread_mutex_lock(&c->mu);
    while (c->phase == FG_PHASE_REOPENING)
        pthread_cond_wait(&c->turned, &c->mu);
    c->reading = c->phase == FG_PHASE_OPEN && c->env && !atomic_load(&c->damaged);
    pthread_mutex_unlock(&c->mu);
    return c->reading;
}

static void turn(struct fg_cache *c, enum fg_phase phase)
{
    pthread_mutex_lock(&c->mu);
    c->phase = phase;
    pthread_cond_broadcast(&c->turned);
    while (c->reading)
        pthread_cond_wait(&c->turned, &c->mu);
    pthread_mutex_unlock(&c->mu);
}

void fg_store_leave(struct fg_cache *c)
{
    pthread_mutex_lock(&c->mu);
    c->reading = false;
    pthread_cond_broadcast(&c->turned);
    pthread_mutex_unlock(&c->mu);
}

int fg_store_reopen(struct fg_cache *c, int (*between)(struct fg_cache *c, struct fg_err *err),
                    struct fg_err *err)
{
    uint64_t size;
    int rc, failed = 0;

    if (!c->env || atomic_load(&c->damaged))
        return fg_fail(err, FG_EBUSY, "%s: the store is damaged and waits to be reopened",
                       c->opt.dir);
    turn(c, FG_PHASE_REOPENING);
    size = fg_store_file_bytes(c);
    fg_store_close(c);
    if (between)
        failed = between(c, err);
    rc = open_env(c, size, err);
    if (!rc)
        rc = open_dbs(c, err);
    if (!rc)
        rc = find_map(c, err);
    if (rc)
        fg_store_close(c);
    else
        fg_store_file_bytes(c);
    turn(c, FG_PHASE_OPEN);
    if (rc)
        fg_report_damage(c, "the store could not be opened again");
    return rc ? rc : failed;
}

void fg_store_recover(struct fg_cache *c)
{
    struct fg_err err;
    int rc;

    turn(c, FG_PHASE_AWAY);
    pthread_mutex_lock(&c->mu);
    fg_store_close(c);
    fg_index_reset(&c->ix);
    rc = fg_store_open(c, true, &err);
    if (rc)
        fg_index_reset(&c->ix);
    atomic_store(&c->damaged, rc != 0);
    pthread_mutex_unlock(&c->mu);
    turn(c, FG_PHASE_OPEN);
    if (rc)
        fg_cache_logf(c, FG_CACHE_LOG_ERROR, "event=reopen_failed error=\"%s\"", err.text);
    else
        fg_cache_logf(c, FG_CACHE_LOG_WARN, "event=reopened dir=%s", c->opt.dir);
}
