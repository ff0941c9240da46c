/* The operation that verifies: one job after the other, each a stored prefix. */
#include "operation_parts.h"

#include <stdlib.h>
#include <string.h>

#include "sweep.h"

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended, news;
    uint32_t done; /* tokens of this prefix */
    struct fg_err error;
};

/* Runs on the GPU thread. */
static void on_job(void *ctx, const struct fg_job_event *event)
{
    struct waiting *w = ctx;

    pthread_mutex_lock(&w->lock);
    w->news = true;
    if (event->kind == FG_EVENT_PROGRESS)
        w->done = event->done;
    if (event->kind == FG_EVENT_FAILED)
        w->error = event->error;
    if (event->kind == FG_EVENT_FAILED || event->kind == FG_EVENT_DONE)
        w->ended = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void wait_for(struct fg_operation *t, struct waiting *w, uint64_t before, uint64_t total)
{
    bool ended = false;

    while (!ended) {
        uint32_t done;

        pthread_mutex_lock(&w->lock);
        while (!w->news)
            pthread_cond_wait(&w->changed, &w->lock);
        w->news = false;
        ended = w->ended;
        done = w->done;
        pthread_mutex_unlock(&w->lock);
        fg_operation_progress(t, before + done, total);
    }
}

/* Makes the operation's cancel that of the job as well. */
static void set_job(struct fg_operation *t, struct fg_job *job)
{
    pthread_mutex_lock(&t->lock);
    t->job = job;
    if (job && fg_operation_canceled(t))
        fg_job_cancel(job);
    pthread_mutex_unlock(&t->lock);
}

static void drop_below(struct fg_flow *flow, void *verify)
{
    fg_sweep_below(flow, verify);
}

static int run_job(struct fg_operation *t, struct fg_verify *v, uint64_t before, uint64_t total,
                   struct fg_err *err)
{
    struct fg_job_request req = {.kind = FG_PROMPT_TOKENS,
                                 .tenant = t->req.tenant,
                                 .n_tokens = (size_t)v->path->n * FG_BLOCK_TOKENS,
                                 .sampling = {.top_p = 1},
                                 .n_logprobs = -1,
                                 .mode = FG_MODE_VERIFY,
                                 .want_progress = true,
                                 .verify = v};
    struct waiting w = {.ended = false};
    struct fg_job *job;
    int rc;

    memcpy(req.who, t->req.who, sizeof req.who);
    req.tokens = malloc(req.n_tokens * sizeof *req.tokens);
    if (!req.tokens)
        return fg_fail(err, FG_ENOMEM, "no memory for a prefix");
    memcpy(req.tokens, v->path->tokens, req.n_tokens * sizeof *req.tokens);
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.changed, NULL);
    rc = fg_flow_submit(t->flow, &req, on_job, &w, &job, err);
    if (rc == 0) {
        set_job(t, job);
        wait_for(t, &w, before, total);
        set_job(t, NULL);
        fg_job_release(job);
        if (v->wrong)
            fg_operation_on_gpu(t->flow, drop_below, v);
        if (w.error.code == 0 && v->error.code)
            w.error = v->error;
        if (w.error.code == 0 && v->blocks < v->path->n && v->from < v->path->n)
            fg_fail(&w.error, FG_EDEVICE, "only %u of %u blocks could be compared", v->blocks,
                    v->path->n);
        rc = w.error.code;
        if (rc)
            *err = w.error;
    }
    pthread_cond_destroy(&w.changed);
    pthread_mutex_destroy(&w.lock);
    return rc;
}

/* Blocks at the beginning that one of the paths before it has as well. */
static uint32_t seen(const struct fg_cache_path *paths, size_t n, const struct fg_cache_path *path)
{
    uint32_t most = 0;

    for (size_t i = 0; i < n; i++)
        while (most < path->n && most < paths[i].n &&
               memcmp(&paths[i].keys[most], &path->keys[most], sizeof *path->keys) == 0)
            most++;
    return most;
}

static void add(struct fg_operation_result *out, const struct fg_verify *v)
{
    out->verified += v->verified;
    out->wrong += v->wrong;
    out->unreadable += v->unreadable;
    out->gone += v->gone;
}

static int verify_paths(struct fg_operation *t, const struct fg_cache_path *paths, size_t n,
                        struct fg_operation_result *out, struct fg_err *err)
{
    const struct fg_flow *flow = t->flow;
    uint64_t before = 0, total = 0;
    int rc = 0;

    for (size_t i = 0; i < n; i++)
        total += (uint64_t)paths[i].n * FG_BLOCK_TOKENS;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct fg_verify v = {
            .path = &paths[i], .state_bytes = flow->state_bytes, .from = seen(paths, i, &paths[i])};

        rc = run_job(t, &v, before, total, err);
        add(out, &v);
        /* Longer than today's context: stored by a daemon that had a larger one. */
        if (rc == FG_ETOOLONG) {
            out->skipped += paths[i].n - v.from;
            rc = 0;
        }
        before += (uint64_t)paths[i].n * FG_BLOCK_TOKENS;
    }
    out->total = n;
    fg_cache_flush(flow->cache); /* what was wrong is out of the file's trees */
    return rc;
}

/* The ends of the prompts that this model and device could use, the last used first. */
static int list_paths(struct fg_operation *t, struct fg_cache_path **paths, size_t *n,
                      struct fg_err *err)
{
    struct fg_key root = fg_flow_root(t->flow, &t->req.tenant);
    size_t max = 2 * (size_t)t->req.limit + 1; /* fewer branches than leaves */
    struct fg_cache_entry *entries = calloc(max, sizeof *entries);
    struct fg_cache_listing list = {.rows = entries, .max = max};
    int rc = 0;

    *paths = calloc(t->req.limit + 1, sizeof **paths);
    if (!entries || !*paths || fg_cache_list(t->flow->cache, &root, 1, &list))
        rc = fg_fail(err, FG_ENOMEM, "no memory for the list");
    for (size_t i = 0; rc == 0 && i < list.n && *n < t->req.limit; i++)
        if (entries[i].leaf &&
            fg_cache_path(t->flow->cache, &entries[i].key, &(*paths)[*n], NULL) == 0)
            (*n)++;
    free(entries);
    return rc;
}

int fg_operation_verify(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err)
{
    struct fg_cache_path *paths = NULL;
    size_t n = 0;
    int rc;

    if (t->req.id) {
        paths = calloc(1, sizeof *paths);
        rc = paths ? fg_operation_path(t, paths, err)
                   : fg_fail(err, FG_ENOMEM, "no memory for a prefix");
        n = rc == 0;
    } else {
        rc = list_paths(t, &paths, &n, err);
    }
    if (rc == 0)
        rc = verify_paths(t, paths, n, out, err);
    for (size_t i = 0; i < n; i++)
        fg_cache_path_finish(&paths[i]);
    free(paths);
    return rc;
}
