/* What the files of tasks share among themselves. */
#ifndef FG_TASK_PARTS_H
#define FG_TASK_PARTS_H

#include "parts.h"
#include "operation.h"
#include "prefix/verify.h"

enum { FG_MAX_TASKS = 16, FG_TASK_PIECES = 4, FG_TASK_PIECE_BYTES = 1 << 20 };

struct fg_task {
    struct fg_task *next; /* flow->tasks; under flow->lock */
    _Atomic int refs;     /* the caller's handle and the thread */
    struct fg_flow *flow;
    struct fg_task_request req;
    fg_task_sink *sink;
    void *sink_ctx;
    _Atomic bool canceled;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    uint32_t unread;    /* DATA events that were not dealt with */
    struct fg_job *job; /* that the task waits for */
};

/* --- task.c: the task's thread --- */
bool fg_task_canceled(const struct fg_task *t);
void fg_task_progress(struct fg_task *t, uint64_t done, uint64_t total);
/* Sends DATA, as fast as it is dealt with. FG_ECANCELED. */
int fg_task_data(struct fg_task *t, const void *bytes, size_t n, struct fg_err *err);
/* Runs fn on the GPU thread, between two steps, and returns when it has. */
void fg_task_on_gpu(struct fg_flow *flow, void (*fn)(struct fg_flow *flow, void *arg), void *arg);
/* Forgets in VRAM what the store does not have. */
void fg_task_sweep_vram(struct fg_flow *flow);

/* The roots of the tenant's trees, at least one: the first one is that of the model and the
 * numerics that run. */
struct fg_task_roots {
    struct fg_key *keys;         /* [n] */
    struct fg_cache_root *infos; /* [n] */
    size_t n;
};
int fg_task_roots(struct fg_task *t, struct fg_task_roots *out, struct fg_err *err);
void fg_task_roots_finish(struct fg_task_roots *r);
void fg_task_hex(const struct fg_key *key, char out[33]);

/* --- task_store.c --- */
int fg_task_list(struct fg_task *t, struct fg_task_result *out, struct fg_err *err);
int fg_task_find(struct fg_task *t, struct fg_task_result *out, struct fg_err *err);
int fg_task_forget(struct fg_task *t, struct fg_task_result *out, struct fg_err *err);

/* --- task_pack.c --- */
int fg_task_export(struct fg_task *t, struct fg_task_result *out, struct fg_err *err);
int fg_task_import(struct fg_task *t, struct fg_task_result *out, struct fg_err *err);
/* The path to what t->req.id names, when it is of the model and the numerics that run; the
 * caller's. FG_EINVAL else. */
int fg_task_path(struct fg_task *t, struct fg_cache_path *path, struct fg_err *err);

/* --- task_verify.c --- */
int fg_task_verify(struct fg_task *t, struct fg_task_result *out, struct fg_err *err);

#endif
