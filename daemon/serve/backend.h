/* A backend: who answers requests. The API knows nothing else of serving: the local engine is one
 * (fg_backend_local), the tests' fake is one. A table of functions, and what they are called with.
 *
 * All may be called on any thread; those of jobs and operations return at once. What a job and an
 * operation are is each backend's own; events come through sinks (job.h, operation.h). */
#ifndef FG_BACKEND_H
#define FG_BACKEND_H

#include "job.h"
#include "operation.h"

struct fg_cache_stats;

struct fg_tokenize_request {
    const char *text;
    size_t bytes;
    bool add_special;   /* the model's begin token, as a prompt would get */
    bool parse_special; /* control tokens in the text are these tokens, not text */
    /* In the place of all that: the prompt that this chat becomes (FG_PROMPT_CHAT); NULL: none. */
    const struct fg_job_request *chat;
};

struct fg_backend {
    void *ctx; /* first argument of each function */

    /* As fg_flow_submit(): takes over what `request` points to. On success *job is the caller's
     * until release(); it is set before the first event can come. FG_EBUSY, FG_ENOMEM. */
    int (*submit)(void *ctx, struct fg_job_request *request, fg_job_sink *sink, void *sink_ctx,
                  struct fg_job **job, struct fg_err *err);
    void (*cancel)(void *ctx, struct fg_job *job);  /* it ends soon, with FAILED, FG_ECANCELED */
    void (*release)(void *ctx, struct fg_job *job); /* after its last event; NULL is fine */
    uint64_t (*job_id)(void *ctx, struct fg_job *job);
    /* As fg_flow_jobs(). */
    size_t (*jobs)(void *ctx, const struct fg_tenant *tenant, struct fg_job_status *out,
                   size_t max);

    /* Strings live as long as the backend. */
    void (*info)(void *ctx, struct fg_flow_info *out);
    void (*tenant)(void *ctx, const char *who, struct fg_tenant *out);

    /* As fg_flow_keep(), once the job is DONE and before release(). What is kept as a call is found
     * in the tenant's later prompts, which then hold the model's own words. */
    void (*keep)(void *ctx, const struct fg_job *job, enum fg_document_kind kind, const char *id,
                 struct fg_str text);
    /* A copy of what was kept, malloc'd; false: there is none (any more). Drops it; false likewise.
     * Both may wait for the disk: not for the event loop. */
    bool (*recall)(void *ctx, const struct fg_tenant *tenant, enum fg_document_kind kind,
                   struct fg_str id, struct fg_str *text);
    bool (*drop)(void *ctx, const struct fg_tenant *tenant, enum fg_document_kind kind,
                 struct fg_str id);

    /* May take seconds for a long text, on the caller's thread: not for the event loop. *ids and
     * *text are malloc'd, the caller's. FG_EINVAL, FG_EUNSUPPORTED (chats), FG_ENOMEM. */
    int (*tokenize)(void *ctx, const struct fg_tokenize_request *request, int32_t **ids, size_t *n,
                    struct fg_err *err);
    int (*detokenize)(void *ctx, const int32_t *ids, size_t n, char **text, size_t *bytes,
                      struct fg_err *err);

    /* FG_ENOTFOUND: there is no store. *dir lives as long as the backend. */
    int (*cache_stats)(void *ctx, struct fg_cache_stats *out, const char **dir);
    /* As fg_operation_start() and what follows it in operation.h. */
    int (*start)(void *ctx, struct fg_operation_request *request, fg_operation_sink *sink,
                 void *sink_ctx, struct fg_operation **operation, struct fg_err *err);
    void (*stop)(void *ctx, struct fg_operation *operation);
    void (*more)(void *ctx, struct fg_operation *operation);
    void (*finish)(void *ctx,
                   struct fg_operation *operation); /* after its last event; NULL is fine */
};

/* The engine that runs in this process; *out lives no longer than it. */
void fg_backend_local(struct fg_flow *flow, struct fg_backend *out);

#endif
