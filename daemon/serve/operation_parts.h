/* What the files of operations share among themselves. */
#ifndef FG_OPERATION_PARTS_H
#define FG_OPERATION_PARTS_H

#include "flow_state.h"
#include "operation.h"
#include "prefix/verify.h"

/* One that nobody reads may stay for minutes: a tenant's fill no more than that tenant's share, and
 * all tenants' together leave some to whoever runs the daemon. */
enum {
    FG_MAX_OPERATIONS = 64,
    FG_TENANT_OPERATIONS = 16,
    FG_OPERATOR_OPERATIONS = 4, /* of the most that there may be */
    FG_OPERATION_UNREAD = 4,
    FG_OPERATION_DATA_BYTES = 1 << 20
};

struct fg_operation {
    struct fg_operation *next; /* flow->operations; under flow->lock */
    _Atomic int refs;          /* the caller's handle and the thread */
    struct fg_flow *flow;
    struct fg_operation_request req;
    fg_operation_sink *sink;
    void *sink_ctx;
    _Atomic bool canceled;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    uint32_t unread;    /* DATA events that were not dealt with */
    struct fg_job *job; /* that the operation waits for */
};

/* --- operation.c: the operation's thread --- */
bool fg_operation_canceled(const struct fg_operation *t);
void fg_operation_progress(struct fg_operation *t, uint64_t done, uint64_t total);
/* Sends DATA, as fast as it is dealt with. FG_ECANCELED. */
int fg_operation_data(struct fg_operation *t, const void *bytes, size_t n, struct fg_err *err);
/* Runs fn on the GPU thread, maybe while a step runs there, and returns when it has. */
void fg_operation_on_gpu(struct fg_flow *flow, void (*fn)(struct fg_flow *flow, void *arg),
                         void *arg);

/* The roots of the tenant's trees, at least one: the first one is that of the model and the
 * numerics that run. */
struct fg_operation_roots {
    struct fg_key *keys;         /* [n] */
    struct fg_cache_root *infos; /* [n] */
    size_t n;
};
int fg_operation_roots(struct fg_operation *t, struct fg_operation_roots *out, struct fg_err *err);
void fg_operation_roots_finish(struct fg_operation_roots *r);
void fg_operation_hex(const struct fg_key *key, char out[33]);

/* --- operation_store.c --- */
int fg_operation_list(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err);
int fg_operation_find(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err);
int fg_operation_forget(struct fg_operation *t, struct fg_operation_result *out,
                        struct fg_err *err);

/* --- operation_pack.c --- */
int fg_operation_export(struct fg_operation *t, struct fg_operation_result *out,
                        struct fg_err *err);
int fg_operation_import(struct fg_operation *t, struct fg_operation_result *out,
                        struct fg_err *err);
/* The path to what t->req.id names, when it is of the model and the numerics that run; the
 * caller's. FG_EINVAL else. */
int fg_operation_path(struct fg_operation *t, struct fg_cache_path *path, struct fg_err *err);

/* --- operation_verify.c --- */
int fg_operation_verify(struct fg_operation *t, struct fg_operation_result *out,
                        struct fg_err *err);

/* Cancels all operations and waits for their ends; the GPU thread must run. */
void fg_operation_end_all(struct fg_flow *flow);
/* The GPU thread: runs what operations have asked for. */
void fg_operation_gpu_calls(struct fg_flow *flow);

#endif
