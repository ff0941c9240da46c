/* What all endpoints work with. Loop thread, but for what is constant while the API runs: backend
 * and info. */
#ifndef FG_API_SERVICE_H
#define FG_API_SERVICE_H

#include <stdbool.h>

#include "http/workers.h"
#include "serve/backend.h"

struct fg_service {
    struct fg_backend backend;
    struct fg_flow_info info; /* the backend's */
    struct fg_workers *workers;
    const char *version;      /* shown by the status */
    const char *sandbox;      /* the same, or NULL */
    bool keep_billing;        /* Claude Code's billing line stays in prompts */
    bool draining;            /* no more jobs */
    bool closing;             /* the loop no longer runs */
    void (*ended)(void *ctx); /* a job or an operation has come to its end */
    void *ended_ctx;
};

/* Bytes of what is not for the loop, however few they are. */
static inline size_t fg_never_small(size_t bytes)
{
    return bytes > FG_WORK_SMALL ? bytes : FG_WORK_SMALL + 1;
}

/* Does the work: `bytes` that are few on the loop, more on a worker. */
static inline void fg_service_work(struct fg_service *s, struct fg_work *work, size_t bytes)
{
    if (bytes <= FG_WORK_SMALL || s->closing)
        fg_workers_do(work);
    else
        fg_workers_post(s->workers, work, bytes > FG_WORK_LARGE ? FG_WORK_BODY : FG_WORK_QUICK);
}

#endif
