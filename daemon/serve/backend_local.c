/* The local engine as a backend: each function is the one of job.h or operation.h. */
#include "backend.h"

static int submit(void *ctx, struct fg_job_request *request, fg_job_sink *sink, void *sink_ctx,
                  struct fg_job **job, struct fg_err *err)
{
    return fg_flow_submit(ctx, request, sink, sink_ctx, job, err);
}

static void cancel(void *ctx, struct fg_job *job)
{
    (void)ctx;
    fg_job_cancel(job);
}

static void release(void *ctx, struct fg_job *job)
{
    (void)ctx;
    fg_job_release(job);
}

static uint64_t job_id(void *ctx, struct fg_job *job)
{
    (void)ctx;
    return fg_job_id(job);
}

static size_t jobs(void *ctx, const struct fg_tenant *tenant, struct fg_job_status *out, size_t max)
{
    return fg_flow_jobs(ctx, tenant, out, max);
}

static void info(void *ctx, struct fg_flow_info *out)
{
    fg_flow_info(ctx, out);
}

static void tenant(void *ctx, const char *who, struct fg_tenant *out)
{
    fg_flow_tenant(ctx, who, out);
}

static void keep(void *ctx, const struct fg_job *job, enum fg_document_kind kind, const char *id,
                 struct fg_str text)
{
    fg_flow_keep(ctx, job, kind, id, text);
}

static bool recall(void *ctx, const struct fg_tenant *tenant, enum fg_document_kind kind,
                   struct fg_str id, struct fg_str *text)
{
    return fg_flow_recall(ctx, tenant, kind, id, text);
}

static bool drop(void *ctx, const struct fg_tenant *tenant, enum fg_document_kind kind,
                 struct fg_str id)
{
    return fg_flow_drop(ctx, tenant, kind, id);
}

static int tokenize(void *ctx, const struct fg_tokenize_request *request, int32_t **ids, size_t *n,
                    struct fg_err *err)
{
    return fg_flow_tokenize(ctx, request, ids, n, err);
}

static int detokenize(void *ctx, const int32_t *ids, size_t n, char **text, size_t *bytes,
                      struct fg_err *err)
{
    return fg_flow_detokenize(ctx, ids, n, text, bytes, err);
}

static int cache_stats(void *ctx, struct fg_cache_stats *out, const char **dir)
{
    return fg_flow_cache_stats(ctx, out, dir);
}

static int start(void *ctx, struct fg_operation_request *request, fg_operation_sink *sink,
                 void *sink_ctx, struct fg_operation **operation, struct fg_err *err)
{
    return fg_operation_start(ctx, request, sink, sink_ctx, operation, err);
}

static void stop(void *ctx, struct fg_operation *operation)
{
    (void)ctx;
    fg_operation_cancel(operation);
}

static void more(void *ctx, struct fg_operation *operation)
{
    (void)ctx;
    fg_operation_more(operation);
}

static void finish(void *ctx, struct fg_operation *operation)
{
    (void)ctx;
    fg_operation_release(operation);
}

void fg_backend_local(struct fg_flow *flow, struct fg_backend *out)
{
    *out = (struct fg_backend){.ctx = flow,
                               .submit = submit,
                               .cancel = cancel,
                               .release = release,
                               .job_id = job_id,
                               .jobs = jobs,
                               .info = info,
                               .tenant = tenant,
                               .keep = keep,
                               .recall = recall,
                               .drop = drop,
                               .tokenize = tokenize,
                               .detokenize = detokenize,
                               .cache_stats = cache_stats,
                               .start = start,
                               .stop = stop,
                               .more = more,
                               .finish = finish};
}
