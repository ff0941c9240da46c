#include "store.h"
#include "dir.h"
#include "handle.h"
#include "load.h"
#include "put_queue.h"
#include "retire.h"
#include "snapshot.h"
#include "check.h"
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPARE_PAGES = 64 };

static const char *const db_names[FG_DBS] = {"meta",       "blocks", "states",    "block_data",
                                             "state_data", "roots",  "documents", "document_data"};

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

    fg_cache_logf(c, FG_CACHE_LOG_ERROR, "event=lmdb_assert dir=%s text=\"%s\"", c->opt.dir, msg);
    fg_guard_break(); /* LMDB would abort; outside of guards it does, and the next start checks */
}

void fg_store_catch_asserts(struct fg_cache *c, MDB_env *env)
{
    mdb_env_set_userctx(env, c);
    mdb_env_set_assert(env, on_assert);
}

/* Whether there is a file to open, and whether LMDB may see it. */
static int check_data_file(struct fg_cache *c, bool deep, uint64_t *size, struct fg_err *err)
{
    int fd = openat(c->dir_fd, FG_DATA_FILE, FG_OPEN_READ), rc = 0;
    struct stat st;

    *size = 0;
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        rc = fg_fail(err, fg_errno_code(errno), "%s/%s: %s", c->opt.dir, FG_DATA_FILE,
                     strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = fg_fail(err, FG_EINVAL, "%s/%s is not a regular file", c->opt.dir, FG_DATA_FILE);
    else if ((rc = fg_dir_check_file(c, fd, FG_DATA_FILE, err)) == 0 &&
             (*size = (uint64_t)st.st_size) > 0)
        rc = fg_check_file(fd, deep, &c->writer.stop, err);
    if (fd >= 0)
        close(fd);
    return rc;
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

/* Without LMDB's locks: they lie in a file that anybody may overwrite, and who waits for a lock
 * that was overwritten waits for ever. No other process has the store open (the directory's lock
 * file says so), one thread writes, and snapshot.c sees to it that no page is read that is written.
 */
static int open_env(struct fg_cache *c, uint64_t file_bytes, struct fg_err *err)
{
    MDB_stat st;
    int rc = mdb_env_create(&c->store.env);

    if (rc) {
        c->store.env = NULL;
        return fail(c, err, rc, "cannot begin");
    }
    fg_store_catch_asserts(c, c->store.env);
    rc = mdb_env_set_maxdbs(c->store.env, FG_DBS);
    if (!rc)
        rc = mdb_env_set_mapsize(c->store.env, map_bytes(c, file_bytes));
    if (!rc)
        rc = mdb_env_open(c->store.env, c->opt.dir, MDB_NOLOCK, 0600);
    if (!rc)
        rc = mdb_env_stat(c->store.env, &st);
    if (rc)
        return fail(c, err, rc, "cannot open");
    if (fg_store_replaced(c)) /* the path led somewhere else than what was looked at */
        return fg_fail(err, FG_EIO, "%s: %s", c->opt.dir, fg_store_replaced(c));
    atomic_store(&c->store.file_bytes, 0);
    c->store.psize = st.ms_psize;
    c->store.map_bytes = map_bytes(c, file_bytes);
    return 0;
}

/* What whoever puts counts with. */
static void publish_sizes(struct fg_cache *c)
{
    pthread_mutex_lock(&c->mu);
    c->ix.psize = c->store.psize;
    /* What is left takes the trees' inner pages, the free list and pages that wait to be reused. */
    c->target = c->opt.max_bytes - c->opt.max_bytes / 8;
    c->ix.hold_bytes = c->opt.max_bytes / 2;
    if (c->target > c->opt.max_bytes / 2 + 16 * (uint64_t)c->store.psize)
        c->target -= 16 * (uint64_t)c->store.psize;
    pthread_mutex_unlock(&c->mu);
}

static int put_meta(struct fg_cache *c, MDB_txn *txn, const char *name, void *p, size_t n)
{
    MDB_val k = {strlen(name), (void *)name}, v = {n, p};

    return mdb_put(txn, c->store.db[FG_DB_META], &k, &v, 0);
}

int fg_store_open_dbs(MDB_txn *txn, unsigned flags, MDB_dbi db[FG_DBS])
{
    int rc = 0;

    for (int i = 0; !rc && i < FG_DBS; i++)
        rc = mdb_dbi_open(txn, db_names[i], flags, &db[i]);
    return rc;
}

static int create_dbs(struct fg_cache *c, struct fg_err *err)
{
    uint8_t format[FG_FORMAT_BYTES], clock[FG_CLOCK_BYTES];
    MDB_txn *txn;
    int rc = mdb_txn_begin(c->store.env, NULL, 0, &txn);

    if (rc)
        return fail(c, err, rc, "cannot begin a transaction");
    fg_format_encode(FG_FORMAT_VERSION, format);
    fg_clock_encode(0, clock);
    rc = fg_store_open_dbs(txn, MDB_CREATE, c->store.db);
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
    int rc = mdb_get(txn, c->store.db[FG_DB_META], &k, &v);

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
    int rc = mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn);

    if (rc)
        return fail(c, err, rc, "cannot begin reading");
    rc = mdb_dbi_open(txn, NULL, 0, &names);
    if (!rc)
        rc = mdb_stat(txn, names, &st);
    if (!rc && st.ms_entries == 0) {
        mdb_txn_abort(txn);
        return create_dbs(c, err);
    }
    if (!rc)
        rc = fg_store_open_dbs(txn, 0, c->store.db);
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
    uint64_t before = atomic_load(&c->store.file_bytes), seen = before, now;
    mdb_filehandle_t fd;
    struct stat st;

    if (mdb_env_get_fd(c->store.env, &fd) != 0 || fstat(fd, &st) != 0)
        return seen;
    now = (uint64_t)st.st_size;
    while (now > seen && !atomic_compare_exchange_weak(&c->store.file_bytes, &seen, now))
        ;
    /* Not `seen`: another thread may have met the file when it had grown further. */
    if (now >= before)
        return now;
    fg_report_damage(c, "the data file became shorter");
    return 0;
}

const char *fg_store_replaced(struct fg_cache *c)
{
    mdb_filehandle_t fd = -1;

    if (c->store.env && mdb_env_get_fd(c->store.env, &fd) != 0)
        fd = -1;
    return fg_dir_replaced(c, fd);
}

/* Offsets in LMDB's meta pages, the first two of the file. */
enum { META_MAGIC = 16, META_PSIZE = 40, META_LAST_PAGE = 136, META_TXN = 144 };

/* The transaction of the newer meta page; false when one of them is none. In a guard. */
static bool newest_meta(const struct fg_cache *c, uint64_t *txn)
{
    *txn = 0;
    for (uint64_t i = 0; i < 2; i++) {
        const char *p = c->store.map + i * c->store.psize;
        uint64_t number, last, at;
        uint32_t magic, psize;

        memcpy(&number, p, sizeof number);
        memcpy(&magic, p + META_MAGIC, sizeof magic);
        memcpy(&psize, p + META_PSIZE, sizeof psize);
        memcpy(&last, p + META_LAST_PAGE, sizeof last);
        memcpy(&at, p + META_TXN, sizeof at);
        if (number != i || magic != 0xBEEFC0DEu || psize != c->store.psize ||
            last >= c->store.map_bytes / c->store.psize)
            return false;
        *txn = at > *txn ? at : *txn;
    }
    return true;
}

bool fg_store_is_ours(struct fg_cache *c, uint64_t most)
{
    uint64_t last = atomic_load(&c->store.last_txn), now;
    bool sound = newest_meta(c, &now);

    if (sound && now >= last && now <= atomic_load(&c->store.last_txn) + most)
        return true; /* the writer may have gone on in between */
    fg_report_damage(c, "somebody else wrote to the data file");
    return false;
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

    if (c->store.psize > (uint64_t)sysconf(_SC_PAGESIZE))
        return fg_fail(err, FG_EFORMAT,
                       "%s/%s has pages of %u bytes, from another machine; this one's are %ld; "
                       "use another directory, or remove this one to begin anew",
                       c->opt.dir, FG_DATA_FILE, c->store.psize, sysconf(_SC_PAGESIZE));
    rc = mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return fail(c, err, rc, "cannot begin reading");
    rc = mdb_get(txn, c->store.db[FG_DB_META], &k, &v);
    if (!rc) {
        page = (const char *)((uintptr_t)v.mv_data & ~((uintptr_t)c->store.psize - 1));
        memcpy(&number, page, sizeof number);
        c->store.map = page - number * c->store.psize;
    }
    mdb_txn_abort(txn);
    if (!rc && !newest_meta(c, &number))
        rc = MDB_CORRUPTED;
    if (!rc)
        atomic_store(&c->store.last_txn, number);
    return rc ? fail(c, err, rc, "cannot read the format record") : 0;
}

struct opening {
    struct fg_cache *c;
    uint64_t size;
    struct fg_loaded *loaded; /* NULL: the records are known */
    struct fg_err *err;
    int rc;
};

static void open_in_guard(void *ctx)
{
    struct opening *o = ctx;
    int rc;

    o->rc = open_env(o->c, o->size, o->err);
    if (!o->rc)
        o->rc = open_dbs(o->c, o->err);
    if (!o->rc)
        o->rc = find_map(o->c, o->err);
    if (!o->rc && o->loaded)
        o->rc = fg_store_read(o->c, o->loaded, o->err);
    if (!o->rc && (rc = fg_snapshot_take(o->c)) != 0)
        o->rc = fail(o->c, o->err, rc, "cannot begin reading");
}

int fg_store_map(struct fg_cache *c, uint64_t size, struct fg_loaded *loaded, struct fg_err *err)
{
    struct opening o = {.c = c, .size = size, .loaded = loaded, .err = err};

    if (!fg_guarded(open_in_guard, &o)) {
        atomic_store(&c->store.broken, true);
        o.rc = fg_fail(err, FG_ECORRUPT, "the file was changed while it was opened");
    }
    if (o.rc) {
        fg_store_close(c);
        return o.rc;
    }
    publish_sizes(c);
    fg_store_file_bytes(c);
    return 0;
}

static int try_open(struct fg_cache *c, bool deep, struct fg_err *err)
{
    struct fg_loaded loaded = {0};
    uint64_t size;
    int rc = check_data_file(c, deep, &size, err);

    if (rc)
        return rc;
    if (c->ours) {
        unlinkat(c->dir_fd, FG_COMPACT_FILE, 0); /* a compaction that was cut short */
        unlinkat(c->dir_fd, FG_LMDB_LOCK_FILE, 0);
    }
    if (size == 0 && !c->ours)
        rc = fg_dir_tag(c, err);
    if (!rc) {
        rc = fg_store_map(c, size, &loaded, err);
        if (!rc)
            rc = fg_store_apply(c, &loaded, err);
        fg_loaded_finish(&loaded);
    }
    if (rc) {
        fg_store_close(c);
        if (size == 0)
            unlinkat(c->dir_fd, FG_DATA_FILE, 0);
    }
    return rc;
}

int fg_store_take_dir(struct fg_cache *c, struct fg_err *err)
{
    unsigned earlier;
    int rc = fg_dir_open(c, &earlier, err);

    return rc || !earlier ? rc : fg_store_retire(c, earlier, err);
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
        pthread_mutex_lock(&c->mu);
        fg_index_reset(&c->ix);
        pthread_mutex_unlock(&c->mu);
        rc = fg_dir_move_aside(c, why.text, &why);
        if (!rc)
            rc = try_open(c, false, &why);
    }
    if (!rc && !c->ours)
        fg_dir_tag(c, NULL);
    return rc ? fg_fail(err, rc == FG_ECORRUPT ? FG_EIO : rc, "%s", why.text) : 0;
}
