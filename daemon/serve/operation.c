/* The life of an operation: started, run on its thread, told about, released. */
#include "operation_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "job_state.h"

/* Something for the GPU thread; lies on its caller's stack. */
struct fg_gpu_call {
    struct fg_gpu_call *next;
    void (*fn)(struct fg_flow *flow, void *arg);
    void *arg;
    bool done;
};

static void unref(struct fg_operation *t)
{
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    fg_operation_request_finish(&t->req);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void fg_operation_release(struct fg_operation *operation)
{
    if (operation)
        unref(operation);
}

void fg_operation_cancel(struct fg_operation *operation)
{
    pthread_mutex_lock(&operation->lock);
    atomic_store(&operation->canceled, true);
    if (operation->job)
        fg_job_cancel(operation->job);
    pthread_cond_signal(&operation->changed);
    pthread_mutex_unlock(&operation->lock);
}

void fg_operation_more(struct fg_operation *operation)
{
    pthread_mutex_lock(&operation->lock);
    if (operation->unread)
        operation->unread--;
    pthread_cond_signal(&operation->changed);
    pthread_mutex_unlock(&operation->lock);
}

bool fg_operation_canceled(const struct fg_operation *t)
{
    return atomic_load(&t->canceled);
}

void fg_operation_progress(struct fg_operation *t, uint64_t done, uint64_t total)
{
    struct fg_operation_event e = {.kind = FG_OPERATION_PROGRESS, .done = done, .total = total};

    t->sink(t->sink_ctx, &e);
}

static int send_piece(struct fg_operation *t, const void *bytes, size_t n, struct fg_err *err)
{
    struct fg_operation_event e = {.kind = FG_OPERATION_DATA, .bytes = bytes, .n = n};

    pthread_mutex_lock(&t->lock);
    while (t->unread >= FG_OPERATION_UNREAD && !fg_operation_canceled(t))
        pthread_cond_wait(&t->changed, &t->lock);
    t->unread++;
    pthread_mutex_unlock(&t->lock);
    if (fg_operation_canceled(t))
        return fg_fail(err, FG_ECANCELED, "the operation was canceled");
    t->sink(t->sink_ctx, &e);
    return 0;
}

int fg_operation_data(struct fg_operation *t, const void *bytes, size_t n, struct fg_err *err)
{
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < n; at += FG_OPERATION_DATA_BYTES)
        rc = send_piece(t, (const char *)bytes + at,
                        n - at < FG_OPERATION_DATA_BYTES ? n - at : FG_OPERATION_DATA_BYTES, err);
    return rc;
}

static int run(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err)
{
    switch (t->req.kind) {
    case FG_OPERATION_LIST: return fg_operation_list(t, out, err);
    case FG_OPERATION_FIND: return fg_operation_find(t, out, err);
    case FG_OPERATION_FORGET: return fg_operation_forget(t, out, err);
    case FG_OPERATION_EXPORT: return fg_operation_export(t, out, err);
    case FG_OPERATION_IMPORT: return fg_operation_import(t, out, err);
    case FG_OPERATION_COMPACT:
        return fg_cache_compact(t->flow->cache, &out->before, &out->after, err);
    case FG_OPERATION_VERIFY: return fg_operation_verify(t, out, err);
    }
    return fg_fail(err, FG_EINVAL, "unknown kind of operation");
}

static void delist(struct fg_flow *flow, struct fg_operation *t)
{
    struct fg_operation **at = &flow->operations;

    pthread_mutex_lock(&flow->lock);
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    flow->n_operations--;
    pthread_cond_broadcast(&flow->operations_changed);
    pthread_mutex_unlock(&flow->lock);
}

static void log_failure(const struct fg_operation *t, const struct fg_err *err)
{
    bool tells = !fg_request_at_fault(err->code);
    char text[FG_LOG_TEXT];

    fg_log(FG_LOG_INFO, "flow", "operation=%d %s%sfailed=\"%s\"%s%s%s", (int)t->req.kind,
           t->req.who, *t->req.who ? " " : "", fg_strerror(err->code), tells ? " cause=\"" : "",
           tells ? fg_log_text(text, err->text) : "", tells ? "\"" : "");
}

static void *task_main(void *arg)
{
    struct fg_operation *t = arg;
    struct fg_flow *flow = t->flow;
    struct fg_operation_event e = {.kind = FG_OPERATION_DONE};
    int rc = run(t, &e.result, &e.error);

    if (rc) {
        e.kind = FG_OPERATION_FAILED;
        e.error.code = rc;
        fg_operation_result_finish(&e.result);
        log_failure(t, &e.error);
    }
    t->sink(t->sink_ctx, &e);
    delist(flow, t); /* the flow may be gone now */
    unref(t);
    return NULL;
}

static struct fg_operation *create(struct fg_flow *flow, struct fg_operation_request *request,
                                   fg_operation_sink *sink, void *sink_ctx)
{
    struct fg_operation *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->flow = flow;
    t->req = *request;
    *request = (struct fg_operation_request){0};
    t->sink = sink;
    t->sink_ctx = sink_ctx;
    atomic_init(&t->refs, 2);
    atomic_init(&t->canceled, false);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    return t;
}

/* Is there room for one more? flow->lock is held. */
static int check_room(const struct fg_flow *flow, const struct fg_operation_request *req,
                      struct fg_err *err)
{
    uint32_t most = FG_MAX_OPERATIONS - (req->runs_daemon ? 0 : FG_OPERATOR_OPERATIONS), own = 0;

    for (const struct fg_operation *t = flow->operations; t; t = t->next)
        own +=
            t->req.runs_daemon == req->runs_daemon && fg_same_tenant(&t->req.tenant, &req->tenant);
    if (own >= FG_TENANT_OPERATIONS)
        return fg_fail(err, FG_EBUSY,
                       "%" PRIu32 " operations of yours on the cache run already; end one, or try "
                       "again later",
                       own);
    if (flow->n_operations >= most)
        return fg_fail(err, FG_EBUSY, "too many operations on the cache run; try again later");
    return 0;
}

/* Lists the operation, so that it will be waited for. */
static int enlist(struct fg_flow *flow, struct fg_operation *t, struct fg_err *err)
{
    int rc;

    pthread_mutex_lock(&flow->lock);
    rc = flow->draining ? fg_fail(err, FG_EBUSY, "the daemon is shutting down")
                        : check_room(flow, &t->req, err);
    if (rc == 0) {
        t->next = flow->operations;
        flow->operations = t;
        flow->n_operations++;
    }
    pthread_mutex_unlock(&flow->lock);
    return rc;
}

int fg_operation_start(struct fg_flow *flow, struct fg_operation_request *request,
                       fg_operation_sink *sink, void *sink_ctx, struct fg_operation **operation,
                       struct fg_err *err)
{
    struct fg_operation *t;
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    *operation = NULL;
    t = flow->cache ? create(flow, request, sink, sink_ctx) : NULL;
    if (!t) {
        fg_operation_request_finish(request);
        return flow->cache ? fg_fail(err, FG_ENOMEM, "no memory for an operation")
                           : fg_fail(err, FG_ENOTFOUND, "the daemon runs without a store");
    }
    rc = enlist(flow, t, err);
    if (rc) {
        atomic_store(&t->refs, 1);
        unref(t);
        return rc;
    }
    *operation = t; /* before the first event can come */
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, task_main, t) != 0) {
        *operation = NULL;
        delist(flow, t);
        atomic_store(&t->refs, 1);
        unref(t);
        rc = fg_fail(err, FG_ENOMEM, "no thread can be started for an operation");
    }
    pthread_attr_destroy(&attr);
    return rc;
}

void fg_operation_end_all(struct fg_flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    for (struct fg_operation *t = flow->operations; t; t = t->next)
        fg_operation_cancel(t);
    while (flow->n_operations)
        pthread_cond_wait(&flow->operations_changed, &flow->lock);
    pthread_mutex_unlock(&flow->lock);
}

void fg_operation_on_gpu(struct fg_flow *flow, void (*fn)(struct fg_flow *flow, void *arg),
                         void *arg)
{
    struct fg_gpu_call call = {.fn = fn, .arg = arg};

    pthread_mutex_lock(&flow->lock);
    call.next = flow->gpu_calls;
    flow->gpu_calls = &call;
    fg_queue_wake(&flow->gpu_queue);
    while (!call.done)
        pthread_cond_wait(&flow->operations_changed, &flow->lock);
    pthread_mutex_unlock(&flow->lock);
}

void fg_operation_gpu_calls(struct fg_flow *flow)
{
    struct fg_gpu_call *call, *next;

    pthread_mutex_lock(&flow->lock);
    call = flow->gpu_calls;
    flow->gpu_calls = NULL;
    pthread_mutex_unlock(&flow->lock);
    for (; call; call = next) {
        next = call->next; /* the call is gone once it is done */
        call->fn(flow, call->arg);
        pthread_mutex_lock(&flow->lock);
        call->done = true;
        pthread_cond_broadcast(&flow->operations_changed);
        pthread_mutex_unlock(&flow->lock);
    }
}

void fg_operation_hex(const struct fg_key *key, char out[33])
{
    fg_hex(key->b, sizeof key->b, out);
}
