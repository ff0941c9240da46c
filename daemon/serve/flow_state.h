/* The flow as its files see it: the runner, the jobs, what its threads sleep on. */
#ifndef FG_FLOW_STATE_H
#define FG_FLOW_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "constraint.h"
#include "documents.h"
#include "fair.h"
#include "flow.h"
#include "prefix/rate.h"
#include "runner.h"
#include "sample.h"
#include "schedule.h"
#include "signers.h"
#include "tenant.h"
#include "vocabulary.h"

enum { FG_TEXT_THREADS = 2 };
struct fg_text_thread {
    struct fg_flow *flow;
    struct fg_queue queue; /* of jobs; what it sleeps on */
    pthread_t thread;
};

struct fg_flow {
    struct fg_runner runner; /* the GPU thread's once it runs */
    struct fg_vocabulary vocabulary;
    const struct fg_repair *repair; /* or NULL */
    struct fg_host_tier *host; /* the runner's */
    struct fg_cache *cache;    /* or NULL */
    struct fg_documents documents[FG_DOCUMENT_KINDS];
    char *cache_dir;
    uint8_t model[16], numerics[16]; /* the file's fingerprint, the engine's numerics id */
    uint8_t secret[FG_SECRET_BYTES]; /* of the tenants */
    struct fg_signers signers;       /* of packs */
    struct fg_flow_info info;
    char *model_name, *model_path, *architecture, *device, *driver;
    char numerics_hex[33];
    uint32_t context; /* tokens a job may have: the engine's, and no more than its pages hold */
    uint32_t n_seq;
    uint32_t n_vocab;                            /* rows of the logits */
    size_t page_bytes, block_bytes, state_bytes; /* as stored; the runner's, for other threads */

    pthread_mutex_t lock; /* guards what follows; held for moments only */
    struct fg_job *oldest, *newest;
    struct fg_fair fair; /* of jobs in that list */
    uint64_t next_id;
    bool draining;
    struct fg_operation *operations;
    uint32_t n_operations;
    struct fg_gpu_call *gpu_calls;
    pthread_cond_t operations_changed; /* an operation ended, a call was made */

    struct fg_text_thread texts[FG_TEXT_THREADS]; /* of small prompts, of large ones */
    struct fg_queue gpu_queue;                    /* of jobs; what the GPU thread sleeps on */
    pthread_t gpu_thread;
    bool threads_run;
    struct fg_constraints constraints; /* with a thread of its own */

    struct fg_sched sched;
    struct fg_sampler sampler;
    struct fg_rate prefill_rate, restore_rate; /* of tokens */
    _Atomic uint64_t bad_prefixes;             /* that were restored and gave no finite logits */
};

/* --- flow.c: any thread --- */

/* The root of a tenant's keys, with this model and the device's numerics. */
struct fg_key fg_flow_root(const struct fg_flow *flow, const struct fg_tenant *tenant);
/* The same with what it is made of. */
struct fg_cache_root fg_flow_describe_root(const struct fg_flow *flow,
                                           const struct fg_tenant *tenant);
/* Tells the store whose root this is, and of what; it is stored with its first block. */
void fg_flow_note_root(struct fg_flow *flow, const struct fg_tenant *tenant);

#endif
