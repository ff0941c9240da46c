/* LMDB's own copy reads the file with a thread that no guard reaches. So records are read one by
 * one, each in a guard, and put into an environment of the copy's, whose writes are another guard's
 * business: either file may be cut, and only what concerns that one is lost. */
#include "copy.h"
#include "check.h"
#include "dir.h"
#include "guard.h"
#include "handle.h"
#include "put_queue.h"
#include "reopen.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_KEY = 511,
    MAX_VALUE = FG_HEAD_BYTES + FG_RECORD_PIECE,
    META_FLAGS = 44, /* in a meta page: u16 */
};

struct copy {
    struct fg_cache *c;
    const char *path;
    int fd;
    uint64_t used;

    /* The store: */
    MDB_txn *from; /* NULL: not open, or lost */
    MDB_cursor *at;
    enum fg_db db;
    uint64_t left; /* records of `db` that have not been read */
    uint64_t end;  /* bytes of the file */

    /* The record that was read: */
    uint8_t key[MAX_KEY], *value;
    size_t key_bytes, value_bytes;

    /* The copy: */
    MDB_env *env;
    MDB_txn *to;
    MDB_dbi to_db[FG_DBS];
    uint64_t unwritten; /* bytes in `to` */
    int rc;             /* LMDB's code, or the system's */
};

/* Runs a step that reads the store. */
static int read_store(struct copy *x, void (*step)(void *ctx))
{
    if (!fg_guarded(step, x)) {
        fg_store_fault(x->c);
        x->from = NULL;
        return MDB_PANIC;
    }
    if (fg_mdb_damaged(x->rc))
        fg_report_damage(x->c, mdb_strerror(x->rc));
    return x->rc;
}

static void begin_reading(void *ctx)
{
    struct copy *x = ctx;

    x->rc = mdb_txn_begin(x->c->store.env, NULL, MDB_RDONLY, &x->from);
    if (x->rc)
        x->from = NULL;
    else if ((x->end = fg_store_file_bytes(x->c)) == 0 || !fg_store_is_ours(x->c, 0))
        x->rc = MDB_CORRUPTED;
}

static void end_reading(void *ctx)
{
    struct copy *x = ctx;

    if (x->at)
        mdb_cursor_close(x->at);
    mdb_txn_abort(x->from);
    x->rc = fg_store_is_ours(x->c, 0) ? 0 : MDB_CORRUPTED;
}

static void begin_db(void *ctx)
{
    struct copy *x = ctx;
    MDB_stat st;

    x->rc = mdb_stat(x->from, x->c->store.db[x->db], &st);
    if (!x->rc)
        x->rc = mdb_cursor_open(x->from, x->c->store.db[x->db], &x->at);
    if (!x->rc)
        x->left = st.ms_entries;
}

static bool within_file(const struct copy *x, const MDB_val *v)
{
    uint64_t off = (uintptr_t)v->mv_data - (uintptr_t)x->c->store.map;

    return off <= x->end && v->mv_size <= x->end - off;
}

/* The next record into memory; MDB_NOTFOUND at the end. */
static void read_record(void *ctx)
{
    struct copy *x = ctx;
    MDB_val k, v;

    x->rc = mdb_cursor_get(x->at, &k, &v, MDB_NEXT);
    if (x->rc == MDB_NOTFOUND) {
        mdb_cursor_close(x->at);
        x->at = NULL;
        if (x->left)
            x->rc = MDB_CORRUPTED;
    }
    if (x->rc)
        return;
    if (x->left-- == 0 || k.mv_size == 0 || k.mv_size > MAX_KEY || v.mv_size > MAX_VALUE ||
        !within_file(x, &k) || !within_file(x, &v)) {
        x->rc = MDB_CORRUPTED;
        return;
    }
    memcpy(x->key, k.mv_data, k.mv_size);
    memcpy(x->value, v.mv_data, v.mv_size);
    x->key_bytes = k.mv_size;
    x->value_bytes = v.mv_size;
}

static int put_record(struct copy *x)
{
    MDB_val k = {x->key_bytes, x->key}, v = {x->value_bytes, x->value};
    int rc = 0;

    if (x->unwritten && x->unwritten + v.mv_size > x->c->batch_cap) {
        rc = mdb_txn_commit(x->to);
        x->to = NULL;
        x->unwritten = 0;
        if (!rc)
            rc = mdb_txn_begin(x->env, NULL, 0, &x->to);
    }
    if (!rc)
        rc = mdb_put(x->to, x->to_db[x->db], &k, &v, MDB_APPEND);
    x->unwritten += k.mv_size + v.mv_size;
    if (rc == MDB_KEYEXIST) {
        fg_report_damage(x->c, "records are out of order");
        rc = MDB_CORRUPTED;
    }
    return rc;
}

static int copy_db(struct copy *x)
{
    int rc = read_store(x, begin_db);

    while (!rc && (rc = read_store(x, read_record)) == 0)
        rc = put_record(x);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* An environment without locks and syncs: nobody else knows the file, and it is synced at last. */
static int open_copy(struct copy *x)
{
    MDB_stat st;
    int rc = mdb_env_create(&x->env);

    if (rc) {
        x->env = NULL;
        return rc;
    }
    fg_store_catch_asserts(x->c, x->env);
    rc = mdb_env_set_maxdbs(x->env, FG_DBS);
    if (!rc)
        rc = mdb_env_set_mapsize(x->env, x->c->store.map_bytes);
    if (!rc)
        rc = mdb_env_open(x->env, x->path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
    if (!rc)
        rc = mdb_env_stat(x->env, &st);
    if (!rc && st.ms_psize != x->c->store.psize)
        rc = MDB_INCOMPATIBLE; /* of another machine: values are padded for its pages */
    /* A full disk shows here, where it has a name. */
    if (!rc)
        rc = posix_fallocate(x->fd, 0, (off_t)x->used);
    if (!rc)
        rc = mdb_txn_begin(x->env, NULL, 0, &x->to);
    if (!rc)
        rc = fg_store_open_dbs(x->to, MDB_CREATE, x->to_db);
    return rc;
}

/* LMDB notes in the meta pages that the file was opened by its own name; the store's is not. The
 * file ends behind its last page. */
static int trim_copy(const struct copy *x, uint64_t pages)
{
    const uint16_t flags = MDB_INTEGERKEY; /* of the free list, as in every file of LMDB's */

    errno = EIO;
    for (uint64_t i = 0; i < 2; i++)
        if (pwrite(x->fd, &flags, sizeof flags, (off_t)(i * x->c->store.psize + META_FLAGS)) !=
            sizeof flags)
            return errno;
    return ftruncate(x->fd, (off_t)(pages * x->c->store.psize)) == 0 ? 0 : errno;
}

static void write_copy(void *ctx)
{
    struct copy *x = ctx;
    MDB_envinfo info = {0};
    int rc = open_copy(x);

    for (x->db = 0; !rc && x->db < FG_DBS; x->db++)
        rc = copy_db(x);
    if (x->to && !rc) {
        rc = mdb_txn_commit(x->to);
        x->to = NULL;
    }
    if (x->to)
        mdb_txn_abort(x->to);
    if (!rc)
        rc = mdb_env_info(x->env, &info);
    if (x->env)
        mdb_env_close(x->env);
    x->rc = rc ? rc : trim_copy(x, info.me_last_pgno + 1);
}

/* 0 or LMDB's or the system's code. */
static int copy(struct copy *x)
{
    int rc = read_store(x, begin_reading), end;

    if (!rc && fg_guarded(write_copy, x)) {
        rc = x->rc;
    } else if (!rc) {
        rc = EIO; /* the copy was cut: what LMDB holds of it is lost, but for its place */
        if (ftruncate(x->fd, 0) != 0)
            rc = errno;
    }
    end = x->from ? read_store(x, end_reading) : 0;
    rc = rc ? rc : end;
    if (!rc && fsync(x->fd) != 0)
        rc = errno;
    return rc;
}

int fg_copy(struct fg_cache *c, int fd, const char *path, uint64_t used, struct fg_err *err)
{
    struct copy x = {.c = c, .fd = fd, .path = path, .used = used, .value = malloc(MAX_VALUE)};
    struct fg_err why = {0};
    int rc;

    if (!x.value)
        return fg_fail(err, FG_ENOMEM, "no memory to copy records");
    rc = copy(&x);
    free(x.value);
    if (atomic_load(&c->store.damaged))
        return fg_fail(err, FG_EIO, "%s/%s is damaged: it was met while copying, and is reopened",
                       c->opt.dir, FG_DATA_FILE);
    if (rc)
        return fg_fail(err, rc > 0 ? fg_errno_code(rc) : FG_EIO, "%s: copying: %s", path,
                       mdb_strerror(rc));
    if (fg_check_file(fd, true, NULL, &why)) /* before the old one goes */
        return fg_fail(err, FG_EIO, "%s: the copy does not verify: %.300s", path, why.text);
    return 0;
}
