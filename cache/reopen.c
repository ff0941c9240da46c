/* The store changes hands: the reader goes in and out, the writer takes it away, closes it, and
 * opens it again, after damage with a check that may take as long as reading the disk takes. No
 * lock is held meanwhile. */
#include "reopen.h"
#include "beside.h"
#include "dir.h"
#include "handle.h"
#include "put_queue.h"
#include "snapshot.h"
#include "store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

MDB_txn *fg_store_enter(struct fg_cache *c)
{
    MDB_txn *txn = NULL;

    pthread_mutex_lock(&c->mu);
    while (c->handover.phase == FG_PHASE_REOPENING)
        pthread_cond_wait(&c->handover.turned, &c->mu);
    if (c->handover.phase == FG_PHASE_OPEN && c->store.env && !atomic_load(&c->store.damaged))
        txn = fg_snapshot_use(c);
    pthread_mutex_unlock(&c->mu);
    return txn;
}

void fg_store_leave(struct fg_cache *c)
{
    pthread_mutex_lock(&c->mu);
    fg_snapshot_leave(c);
    pthread_cond_broadcast(&c->handover.turned);
    pthread_mutex_unlock(&c->mu);
}

/* Waits until the reader is out, for a piece at most. */
static void turn(struct fg_cache *c, enum fg_phase phase)
{
    pthread_mutex_lock(&c->mu);
    c->handover.phase = phase;
    pthread_cond_broadcast(&c->handover.turned);
    while (c->handover.used)
        pthread_cond_wait(&c->handover.turned, &c->mu);
    pthread_mutex_unlock(&c->mu);
}

void fg_store_fault(struct fg_cache *c)
{
    atomic_store(&c->store.broken, true);
    fg_report_damage(c, "the data file was cut or overwritten while it was used");
}

/* Closes the descriptors of the data file that LMDB leaves behind: a file that is removed later
 * would keep its place on the disk. Nobody else in the process has it open now. */
static void close_left_behind(int data_fd)
{
    DIR *d = opendir("/proc/self/fd");
    struct stat data, st;
    struct dirent *e;

    while (d && fstat(data_fd, &data) == 0 && (e = readdir(d))) {
        int fd = atoi(e->d_name);

        if (fd > 2 && fd != data_fd && fd != dirfd(d) && fstat(fd, &st) == 0 &&
            st.st_dev == data.st_dev && st.st_ino == data.st_ino)
            close(fd);
    }
    if (d)
        closedir(d);
    close(data_fd);
}

/* A transaction was cut short: LMDB's memory is in no known state and stays as it is. */
static void abandon(struct fg_cache *c)
{
    mdb_filehandle_t data_fd;

    if (c->store.map)
        munmap((void *)c->store.map, c->store.map_bytes);
    if (mdb_env_get_fd(c->store.env, &data_fd) == 0 && data_fd >= 0)
        close_left_behind(data_fd);
}

void fg_store_close(struct fg_cache *c)
{
    fg_snapshot_drop(c);
    if (atomic_exchange(&c->store.broken, false)) {
        if (c->store.env)
            abandon(c);
    } else if (c->store.env) {
        mdb_env_close(c->store.env);
    }
    c->store.env = NULL;
    c->store.map = NULL;
}

int fg_store_reopen(struct fg_cache *c, int (*between)(struct fg_cache *c, struct fg_err *err),
                    struct fg_err *err)
{
    const char *what;
    uint64_t size;
    int rc, failed = 0;

    if (!c->store.env || atomic_load(&c->store.damaged))
        return fg_fail(err, FG_EBUSY, "%s: the store is damaged and waits to be reopened",
                       c->opt.dir);
    what = fg_store_replaced(c);
    if (what) {
        fg_report_damage(c, what);
        return fg_fail(err, FG_EIO, "%s: %s while it was in use", c->opt.dir, what);
    }
    turn(c, FG_PHASE_REOPENING);
    size = fg_store_file_bytes(c);
    fg_store_close(c);
    if (between)
        failed = between(c, err);
    rc = fg_store_map(c, size, NULL, err);
    turn(c, FG_PHASE_OPEN);
    if (rc)
        fg_report_damage(c, "the store could not be opened again");
    return rc ? rc : failed;
}

static void forget_stored(struct fg_cache *c)
{
    pthread_mutex_lock(&c->mu);
    fg_index_reset(&c->ix);
    pthread_mutex_unlock(&c->mu);
}

static void note_reopening(struct fg_cache *c, int rc, const struct fg_err *err)
{
    if (rc == 0) {
        c->handover.retry = (struct fg_retry){.failures = 0};
        fg_cache_logf(c, FG_CACHE_LOG_WARN, "event=reopened dir=%s", c->opt.dir);
        return;
    }
    /* Once more at once: who changed the file may have been at it. */
    fg_retry_failed(&c->handover.retry);
    fg_cache_logf(
        c, rc == FG_ECANCELED ? FG_CACHE_LOG_INFO : FG_CACHE_LOG_ERROR,
        "event=reopen_failed retry_ms=%u error=\"%s\"%s", c->handover.retry.after, err->text,
        err->code == FG_EACCESS ? " hint=\"another directory is taken by a restart\"" : "");
}

/* LMDB is closed. What is open is not what is there. */
static int take_what_is_there(struct fg_cache *c, const char *what, struct fg_err *err)
{
    int rc;

    if (c->dir_fd >= 0) { /* else it was said when that failed before */
        fg_cache_logf(c, FG_CACHE_LOG_ERROR,
                      "event=replaced dir=%s reason=\"%s\" action=\"what was stored is out of "
                      "reach; goes on with what is there now\"",
                      c->opt.dir, what);
        c->writer.untold = FG_UNTOLD_ALL;
    }
    fg_dir_close(c);
    rc = fg_store_take_dir(c, err);
    if (rc)
        fg_dir_close(c); /* nothing is taken without its lock */
    else
        fg_beside_restore(c);
    return rc;
}

void fg_store_recover(struct fg_cache *c)
{
    struct fg_err err = {0};
    const char *what;
    int rc = 0;

    if (atomic_load(&c->writer.stop) || !fg_retry_due(&c->handover.retry))
        return;
    turn(c, FG_PHASE_AWAY);
    what = fg_store_replaced(c);
    fg_store_close(c);
    forget_stored(c);
    if (what)
        rc = take_what_is_there(c, what, &err);
    fg_reserve_give(c); /* beginning anew takes room; what is left of it is taken back */
    if (!rc)
        rc = fg_store_open(c, true, &err);
    fg_reserve_take(c);
    if (rc)
        forget_stored(c);
    atomic_store(&c->store.damaged, rc != 0);
    turn(c, FG_PHASE_OPEN);
    note_reopening(c, rc, &err);
}
