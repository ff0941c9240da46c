#include "writer.h"
#include "batch.h"
#include "commit.h"
#include "compact.h"
#include "forget.h"
#include "guard.h"
#include "handle.h"
#include "plan.h"
#include "put_queue.h"
#include "reopen.h"
#include "reserve.h"
#include "scrub.h"
#include "sift.h"
#include "store.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

enum { SQUEEZES = 4, COMPACT_FACTOR = 8, MIN_LACKED = 256 << 10 };

static int commit_chores(struct fg_cache *c, struct fg_batch *b)
{
    int rc = fg_reserve_commit(c, b, FG_COMMIT_CHORES);

    pthread_mutex_lock(&c->mu);
    fg_plan_settle_chores(c, b, rc == 0);
    pthread_mutex_unlock(&c->mu);
    return rc;
}

/* Little is stored beside what is to be written: copying it costs less than losing it. */
static bool compact(struct fg_cache *c, const struct fg_batch *b)
{
    struct fg_err err;
    struct fg_compact k = {.err = &err};
    uint64_t cost;
    bool cheap;

    pthread_mutex_lock(&c->mu);
    cost = c->ix.cost;
    cheap = cost <= b->cost * COMPACT_FACTOR;
    if (cheap && c->opt.write_budget) /* a copy is written too */
        cheap = fg_quota_take(&c->quota, c->opt.write_budget, cost, (uint64_t)time(NULL));
    pthread_mutex_unlock(&c->mu);
    if (!cheap)
        return false;
    fg_compact_run(c, &k);
    if (k.rc && c->opt.write_budget) {
        pthread_mutex_lock(&c->mu);
        fg_quota_give(&c->quota, cost);
        pthread_mutex_unlock(&c->mu);
    }
    return k.rc == 0;
}

/* Puts, with what else `more` says; a large record in as many transactions as it takes. What is
 * committed stays so when a later one fails: b->written says how far it is. */
static int commit_puts(struct fg_cache *c, struct fg_batch *b, unsigned more)
{
    uint64_t bytes = b->n_puts ? b->puts[0]->rec.bytes : 0;
    int rc = fg_commit(c, b, more | FG_COMMIT_PUTS);

    if (!rc && more & FG_COMMIT_CHORES) {
        pthread_mutex_lock(&c->mu);
        fg_plan_settle_chores(c, b, true);
        pthread_mutex_unlock(&c->mu);
    }
    while (!rc && b->n_puts == 1 && b->written < fg_record_pieces(bytes))
        rc = fg_commit(c, b, FG_COMMIT_PUTS);
    return rc;
}

/* Takes back the pieces of a record that cannot be finished; what stays nobody sees, and a later
 * batch removes it. */
static void take_back(struct fg_cache *c, struct fg_batch *b)
{
    struct fg_remains_row row;

    if (b->n_puts != 1 || b->written == 0)
        return;
    if (fg_reserve_commit(c, b, FG_COMMIT_UNPUT) == 0) {
        b->written = 0;
        return;
    }
    row = (struct fg_remains_row){.key = b->puts[0]->key, .kind = b->puts[0]->kind};
    pthread_mutex_lock(&c->mu);
    row.cost = fg_index_cost(&c->ix, row.kind, (uint64_t)b->written * FG_RECORD_PIECE);
    fg_remains_add(&c->remains, &row);
    pthread_mutex_unlock(&c->mu);
}

static bool no_room(int rc)
{
    return rc == MDB_MAP_FULL || fg_disk_is_full(rc);
}

/* The map is full although the budget is not: free pages are scattered, or still waiting. Or the
 * disk is. Lets freed pages become usable; then compacts where that is cheap and the disk has room,
 * or evicts, and tries again. */
static int squeeze(struct fg_cache *c, struct fg_batch *b)
{
    bool compacted = false;

    for (int i = 0;; i++) {
        size_t n;
        int rc = commit_chores(c, b);

        if (!rc)
            rc = commit_chores(c, b); /* nothing but a transaction that passes */
        if (!rc)
            rc = commit_puts(c, b, 0);
        if (rc == MDB_MAP_FULL && !compacted && compact(c, b)) {
            compacted = true;
            rc = commit_puts(c, b, 0);
        }
        if (!no_room(rc) || i == SQUEEZES)
            return rc;
        pthread_mutex_lock(&c->mu);
        fg_plan_evict(c, b, b->lacks > b->cost << i ? b->lacks : b->cost << i);
        n = b->n_victims;
        pthread_mutex_unlock(&c->mu);
        if (n == 0)
            return rc;
    }
}

static unsigned long long free_bytes(const char *dir)
{
    struct statvfs fs;

    return statvfs(dir, &fs) == 0 ? (unsigned long long)fs.f_bavail * fs.f_frsize : 0;
}

/* A line when writing begins to fail, and one when it works again. */
static void note_result(struct fg_cache *c, const struct fg_batch *b, int rc)
{
    bool full = fg_disk_is_full(rc);

    if (fg_mdb_damaged(rc))
        fg_report_damage(c, mdb_strerror(rc));
    if (rc && !c->writer.failing)
        fg_cache_logf(c, FG_CACHE_LOG_ERROR,
                      "event=write_failed dir=%s error=\"%s\" free_bytes=%llu%s action=\"%s\"",
                      c->opt.dir, mdb_strerror(rc), free_bytes(c->opt.dir),
                      full ? " disk_full=1" : "",
                      full ? "evicts, and drops records for which that makes no room"
                           : "records dropped; later ones are tried");
    if (full && c->writer.lacked < MIN_LACKED + 2 * b->cost)
        c->writer.lacked = MIN_LACKED + 2 * b->cost;
    if (!rc && c->writer.lacked && !fg_reserve_is_whole(c, c->writer.lacked))
        return; /* this one found room; it was not there for all */
    if (!rc && c->writer.failing)
        fg_cache_logf(c, FG_CACHE_LOG_INFO, "event=write_works_again dir=%s", c->opt.dir);
    c->writer.failing = rc != 0;
    if (!rc)
        c->writer.lacked = 0;
}

/* A batch that ends with `rc`; `full`: it met a full disk, whatever was done about it. */
static void count_result(struct fg_cache *c, const struct fg_batch *b, int rc, bool full)
{
    if (rc && (full || rc == MDB_MAP_FULL))
        fg_count(c, FG_N_FULL, b->n_puts);
    if (full || (rc && rc != MDB_MAP_FULL))
        fg_count(c, FG_N_WRITE_ERRORS, 1);
}

static void run_batch(struct fg_cache *c, struct fg_batch *b)
{
    bool only_chores = b->n_puts == 0, full;
    int rc;

    if (!b->n_puts && !b->n_victims && !b->n_touches)
        return;
    if (b->n_puts)
        fg_reserve_take(c); /* before them */
    rc = commit_puts(c, b, FG_COMMIT_CHORES);
    full = fg_disk_is_full(rc);
    if (full)
        note_result(c, b, rc);
    if (no_room(rc))
        rc = squeeze(c, b);
    full = full || fg_disk_is_full(rc);
    if (rc)
        take_back(c, b);
    count_result(c, b, rc, full);
    pthread_mutex_lock(&c->mu);
    fg_plan_settle_chores(c, b, rc == 0);
    fg_plan_settle_puts(c, b, rc == 0);
    if (rc && only_chores && b->more)
        fg_plan_skip(c);
    if (rc && !c->queue.head)
        b->more = false; /* what is over the budget waits for the next request */
    pthread_mutex_unlock(&c->mu);
    if (rc || !full)
        note_result(c, b, rc);
    if (!rc)
        fg_store_file_bytes(c);
}

static void finish_flushes(struct fg_cache *c, struct fg_batch *b)
{
    while (b->flushes) {
        struct fg_item *it = b->flushes;

        b->flushes = it->next; /* `it` is gone once its owner sees `done` */
        it->done = true;
    }
    pthread_cond_broadcast(&c->writer.done);
}

/* The first one of its kind after the store was replaced: it was asked for what is out of reach. */
static bool tell_replaced(struct fg_cache *c, struct fg_item *it)
{
    bool forget = it->op == FG_OP_FORGET;
    unsigned kind = forget ? FG_UNTOLD_FORGET : FG_UNTOLD_COMPACT;
    int *rc = forget ? &it->forget->rc : &it->compact->rc;

    if (!(c->writer.untold & kind))
        return false;
    c->writer.untold &= ~kind;
    *rc = fg_fail(forget ? it->forget->err : it->compact->err, FG_EIO,
                  "%s: the directory or a file in it was moved, removed or replaced while the "
                  "daemon used it; nothing was done: what had been stored is out of reach, and the "
                  "store goes on with what is there now",
                  c->opt.dir);
    return true;
}

/* What needs the writer for itself; then whoever waits for it goes on. */
static void run_task(struct fg_cache *c, struct fg_batch *b)
{
    struct fg_item *it = b->task;

    if (c->writer.unscrubbed && fg_retry_due(&c->writer.scrub))
        fg_scrub(c, NULL);
    if (!it)
        return;
    if (!tell_replaced(c, it)) {
        if (it->op == FG_OP_FORGET)
            fg_forget_run(c, b, it->forget);
        else
            fg_compact_run(c, it->compact);
    }
    b->task = NULL;
    pthread_mutex_lock(&c->mu);
    it->done = true;
    pthread_cond_broadcast(&c->writer.done);
    pthread_mutex_unlock(&c->mu);
}

static void mend_store(struct fg_cache *c)
{
    const char *what = fg_store_replaced(c);

    if (what)
        fg_report_damage(c, what);
    if (atomic_load(&c->store.damaged))
        fg_store_recover(c);
}

static void *writer_main(void *arg)
{
    struct fg_cache *c = arg;
    struct fg_batch *b = c->writer.batch;
    bool end = false;

    pthread_mutex_lock(&c->mu);
    while (!end) {
        while (!c->writer.kick)
            pthread_cond_wait(&c->writer.work, &c->mu);
        c->writer.kick = false;
        pthread_mutex_unlock(&c->mu);
        mend_store(c);
        fg_sift_expired(c);
        pthread_mutex_lock(&c->mu);
        fg_plan(c, b);
        pthread_mutex_unlock(&c->mu);
        run_batch(c, b);
        run_task(c, b);
        pthread_mutex_lock(&c->mu);
        free(b->touches);
        b->touches = NULL;
        finish_flushes(c, b);
        if (b->more)
            c->writer.kick = true;
        end = c->writer.stop && !c->queue.head && !b->more;
    }
    pthread_mutex_unlock(&c->mu);
    return NULL;
}

int fg_writer_start(struct fg_cache *c, struct fg_err *err)
{
    sigset_t all, old;
    int e;

    c->writer.batch = calloc(1, sizeof *c->writer.batch);
    if (!c->writer.batch)
        return fg_fail(err, FG_ENOMEM, "no memory for the cache writer");
    c->writer.kick = true; /* drops found at open; a budget that shrank */
    /* Signals are the main thread's, but for the guard's, which are about this one. */
    sigfillset(&all);
    fg_guard_unblock(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    e = pthread_create(&c->writer.thread, NULL, writer_main, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e)
        return fg_fail(err, FG_ENOMEM, "cannot start the cache writer: %s", strerror(e));
    c->writer.started = true;
    return 0;
}

void fg_writer_stop(struct fg_cache *c)
{
    if (!c->writer.started)
        return;
    pthread_mutex_lock(&c->mu);
    atomic_store(&c->writer.stop, true);
    c->writer.kick = true;
    pthread_cond_signal(&c->writer.work);
    pthread_mutex_unlock(&c->mu);
    pthread_join(c->writer.thread, NULL);
    c->writer.started = false;
}
