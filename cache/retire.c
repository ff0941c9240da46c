/* A data file of an earlier format: its keys are remembered, so that misses can say why, and it is
 * moved aside. Formats before this one keep a block's and a state's key in the same databases. */
#include "retire.h"
#include "dir.h"
#include "gone.h"
#include "handle.h"
#include "check.h"
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int note_keys(struct fg_cache *c, MDB_txn *txn, enum fg_kind kind, uint64_t *n)
{
    MDB_cursor *cur;
    MDB_val k, v;
    MDB_dbi db;
    int rc = mdb_dbi_open(txn, kind == FG_KIND_BLOCK ? "blocks" : "states", 0, &db);

    if (!rc)
        rc = mdb_cursor_open(txn, db, &cur);
    if (rc)
        return rc;
    while ((rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
        struct fg_key key;

        if (k.mv_size != sizeof key.b)
            continue;
        memcpy(key.b, k.mv_data, sizeof key.b);
        pthread_mutex_lock(&c->mu);
        fg_gone_note(c, kind, &key, FG_GONE_FORMAT);
        pthread_mutex_unlock(&c->mu);
        ++*n;
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

struct remembered {
    struct fg_cache *c;
    uint64_t n;
};

static void read_keys(void *ctx)
{
    struct remembered *x = ctx;
    struct fg_cache *c = x->c;
    MDB_env *env = NULL;
    MDB_txn *txn;

    if (mdb_env_create(&env) != 0)
        return;
    if (mdb_env_set_maxdbs(env, FG_DBS) == 0 &&
        mdb_env_open(env, c->opt.dir, MDB_RDONLY | MDB_NOLOCK, 0600) == 0 &&
        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0) {
        for (enum fg_kind kind = 0; kind <= FG_KIND_STATE; kind++)
            if (note_keys(c, txn, kind, &x->n) != 0)
                break;
        mdb_txn_abort(txn);
    }
    mdb_env_close(env);
}

/* The number of keys. What cannot be read is only not remembered. */
static uint64_t remember(struct fg_cache *c)
{
    int fd = openat(c->dir_fd, FG_DATA_FILE, FG_OPEN_READ);
    bool sound = fd >= 0 && fg_check_file(fd, true, NULL, NULL) == 0;
    struct remembered x = {.c = c};

    if (fd >= 0)
        close(fd);
    if (sound)
        fg_guarded(read_keys, &x);
    return x.n;
}

int fg_store_retire(struct fg_cache *c, unsigned version, struct fg_err *err)
{
    char name[64];
    struct stat st;
    uint64_t n;

    if (fstatat(c->dir_fd, FG_DATA_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
        return fg_dir_tag(c, err);
    n = remember(c);
    snprintf(name, sizeof name, FG_DATA_FILE ".format-%u", version);
    if (renameat(c->dir_fd, FG_DATA_FILE, c->dir_fd, name) != 0)
        return fg_fail(err, fg_errno_code(errno),
                       "%s/%s has format %u, this build reads and writes format %u, and it could "
                       "not be moved aside: %s",
                       c->opt.dir, FG_DATA_FILE, version, (unsigned)FG_FORMAT_VERSION,
                       strerror(errno));
    fg_cache_logf(c, FG_CACHE_LOG_WARN,
                  "event=format_changed dir=%s from=%u to=%u records=%" PRIu64
                  " kept_as=%s action=\"begins empty; delete the old file when no earlier build is "
                  "to use it\"",
                  c->opt.dir, version, (unsigned)FG_FORMAT_VERSION, n, name);
    return fg_dir_tag(c, err); /* syncs the directory */
}
