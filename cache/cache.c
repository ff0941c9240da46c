#include "beside.h"
#include "dir.h"
#include "gone.h"
#include "handle.h"
#include "put_queue.h"
#include "reader.h"
#include "sift.h"
#include "store.h"
#include "writer.h"

#include <stdlib.h>
#include <string.h>

#include "guard.h"

#define QUEUE_CAP (256ull << 20)
#define BATCH_CAP (64ull << 20)
#define MIN_BYTES (1ull << 20)
#define MAX_BYTES (1ull << 45) /* what a map of 47 bits holds, with room for other maps */

void fg_cache_logf(struct fg_cache *c, enum fg_cache_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (!c->opt.log)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    c->opt.log(c->opt.log_ctx, level, line);
}

static void destroy(struct fg_cache *c)
{
    while (c->queue.head) {
        struct fg_item *it = c->queue.head;

        c->queue.head = it->next;
        fg_put_queue_free(it);
    }
    fg_store_close(c);
    fg_index_finish(&c->ix);
    free(c->touches);
    fg_remains_finish(&c->remains);
    fg_gone_finish(c);
    free(c->roots.slots);
    free(c->writer.batch);
    fg_dir_close(c);
    fg_beside_finish(c);
    fg_reader_finish(c);
    pthread_cond_destroy(&c->handover.turned);
    pthread_cond_destroy(&c->writer.done);
    pthread_cond_destroy(&c->writer.work);
    pthread_mutex_destroy(&c->mu);
    free((char *)c->opt.dir);
    free(c);
}

static struct fg_cache *create(const struct fg_cache_options *opt)
{
    struct fg_cache *c = calloc(1, sizeof *c);
    char *dir = strdup(opt->dir);

    if (!c || !dir || fg_index_init(&c->ix) != 0) {
        free(c);
        free(dir);
        return NULL;
    }
    c->opt = *opt;
    c->opt.dir = dir;
    c->dir_fd = c->lock_fd = -1;
    c->queue.tail = &c->queue.head;
    fg_gone_init(c);
    c->queue.cap = QUEUE_CAP;
    /* Evicting for a batch frees pages for a later one only, so batches stay small. */
    c->batch_cap = opt->max_bytes / 32 < BATCH_CAP ? opt->max_bytes / 32 : BATCH_CAP;
    pthread_mutex_init(&c->mu, NULL);
    pthread_cond_init(&c->writer.work, NULL);
    pthread_cond_init(&c->writer.done, NULL);
    pthread_cond_init(&c->handover.turned, NULL);
    fg_reader_init(c);
    return c;
}

int fg_cache_open(const struct fg_cache_options *opt, struct fg_cache **out, struct fg_err *err)
{
    struct fg_cache *c;
    int rc;

    *out = NULL;
    if (!opt->dir || !*opt->dir)
        return fg_fail(err, FG_EINVAL, "the cache directory has no name");
    if (opt->max_bytes < MIN_BYTES || opt->max_bytes > MAX_BYTES)
        return fg_fail(err, FG_EINVAL,
                       "cache directory %s: a budget of %llu bytes; from %llu to %llu are possible",
                       opt->dir, (unsigned long long)opt->max_bytes, MIN_BYTES, MAX_BYTES);
    fg_guard_install();
    c = create(opt);
    if (!c)
        return fg_fail(err, FG_ENOMEM, "no memory for the cache");
    rc = fg_store_take_dir(c, err);
    if (!rc)
        rc = fg_store_open(c, false, err);
    if (rc) {
        destroy(c);
        return rc;
    }
    fg_cache_logf(
        c, FG_CACHE_LOG_INFO, "event=open dir=%s blocks=%llu states=%llu documents=%llu bytes=%llu",
        c->opt.dir, (unsigned long long)c->ix.n[FG_KIND_BLOCK],
        (unsigned long long)c->ix.n[FG_KIND_STATE], (unsigned long long)c->ix.n[FG_KIND_DOCUMENT],
        (unsigned long long)(c->ix.bytes[FG_KIND_BLOCK] + c->ix.bytes[FG_KIND_STATE] +
                             c->ix.bytes[FG_KIND_DOCUMENT]));
    fg_reserve_take(c);
    fg_sift_expired(c); /* the writer has them removed first */
    rc = fg_writer_start(c, err);
    if (!rc)
        rc = fg_reader_start(c, err);
    if (rc) {
        fg_writer_stop(c);
        destroy(c);
        return rc;
    }
    *out = c;
    return 0;
}

void fg_cache_close(struct fg_cache *c)
{
    if (!c)
        return;
    fg_reader_stop(c);
    fg_writer_stop(c);
    destroy(c);
}

void fg_cache_stats(struct fg_cache *c, struct fg_cache_stats *out)
{
    memset(out, 0, sizeof *out);
    out->file_bytes = atomic_load(&c->store.file_bytes);
    out->max_bytes = c->opt.max_bytes;
    pthread_mutex_lock(&c->mu);
    out->blocks = c->ix.n[FG_KIND_BLOCK];
    out->states = c->ix.n[FG_KIND_STATE];
    out->documents = c->ix.n[FG_KIND_DOCUMENT];
    out->block_bytes = c->ix.bytes[FG_KIND_BLOCK];
    out->state_bytes = c->ix.bytes[FG_KIND_STATE];
    out->document_bytes = c->ix.bytes[FG_KIND_DOCUMENT];
    out->queued_bytes = c->queue.bytes;
    pthread_mutex_unlock(&c->mu);
    out->evicted = atomic_load(&c->count[FG_N_EVICTED]);
    out->dropped_corrupt = atomic_load(&c->count[FG_N_CORRUPT]);
    out->dropped_full = atomic_load(&c->count[FG_N_FULL]);
    out->dropped_queue = atomic_load(&c->count[FG_N_QUEUE]);
    out->dropped_budget = atomic_load(&c->count[FG_N_BUDGET]);
    out->dropped_orphan = atomic_load(&c->count[FG_N_ORPHAN]);
    out->write_errors = atomic_load(&c->count[FG_N_WRITE_ERRORS]);
    out->hits_blocks = atomic_load(&c->count[FG_N_HIT_BLOCKS]);
    out->hits_states = atomic_load(&c->count[FG_N_HIT_STATES]);
    out->hits_documents = atomic_load(&c->count[FG_N_HIT_DOCUMENTS]);
    out->bytes_written = atomic_load(&c->count[FG_N_WRITTEN]);
}
