/* What the flow's files share among themselves: the flow, a job, and the stages a job goes through.
 */
#ifndef FG_PARTS_H
#define FG_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "account.h"
#include "answer.h"
#include "batch.h"
#include "prefix/explain.h"
#include "flow.h"
#include "runner.h"
#include "base/queue.h"
#include "prefix/prefix_keys.h"
#include "prefix/rate.h"
#include "prefix/bring.h"
#include "sample.h"
#include "prefix/keep.h"
#include "tenant.h"
#include "vocabulary.h"

enum { FG_BOUNDS = 3 /* named places in a chat */ };

/* A token that was chosen and not told yet. */
struct fg_fresh {
    bool there;
    int32_t id;
    struct fg_str text; /* the answer's, until its next token */
};

struct fg_job {
    struct fg_link link; /* in a queue */
    struct fg_flow *flow;
    /* Set by fg_flow_submit(). */
    _Atomic int refs; /* the caller's handle and the flow */
    uint64_t id;      /* ascends with submission */
    struct fg_job_request req;
    fg_job_sink *sink;
    void *sink_ctx;
    _Atomic bool canceled;
    struct fg_job *older, *newer; /* flow->jobs; under flow->lock */
    struct fg_job *next;          /* in the waiting list */

    /* Set by the text thread, then the GPU thread's. */
    int32_t *tokens; /* prompt and answer */
    uint32_t n_tokens, cap_tokens;
    uint32_t n_prompt;
    /* Of a chat, boundaries in tokens, at or before the end of the system prompt and tools, the
     * start of the last user message, and of its last part: others are likely to part there. 0:
     * none. */
    uint32_t bounds[FG_BOUNDS];
    uint32_t max_new; /* tokens to generate at most */
    struct fg_prefix prefix;

    /* The GPU thread's. */
    struct fg_seq *seq; /* tokens[0 .. its length); NULL while the job waits */
    struct fg_restore restore;
    bool brought;          /* the stored prefix is in place, and the job computes the rest */
    bool followed;         /* since it was admitted it waited for another job: follow.h */
    struct fg_job *leader; /* that it waits for, compared and not used; or NULL */
    uint32_t common;       /* blocks that the two have in common */
    bool caching;          /* writes the caches; off after a capture failed */
    struct fg_trail trail;
    uint32_t part;   /* a boundary, in tokens, where this prompt leaves what is stored; 0: none */
    uint32_t span;   /* tokens in the step that runs; 0: it is not in it */
    float *logits;   /* [n_vocab], where n_best is 0 */
    uint32_t n_best; /* that sampling needs; 0: all, or logprobs were asked for */
    struct fg_best best[FG_BEST_MOST];
    struct fg_answer_text answer;
    bool answering; /* answer was initialized */
    struct fg_fresh fresh;
    uint32_t replays; /* times it began again after a lost device */
    struct fg_marks marks;
    struct fg_job_account account;
    bool accounted;                    /* what was reused is settled */
    struct fg_explanation explanation; /* why no more was reused */
    bool explains;                     /* that is being found out */
    bool ended;                        /* the last event is sent */
    enum fg_finish_reason finish;
    uint32_t told; /* by the last PROGRESS */

    /* For fg_flow_jobs(). */
    _Atomic uint32_t phase, show_prompt, show_done, show_reused, show_generated;
};

/* A job list by age. The GPU thread's. */
struct fg_sched {
    struct fg_job *waiting;               /* linked by next, lowest id first */
    struct fg_job *active[FG_MAX_ACTIVE]; /* have a sequence */
    uint32_t n_active;
    struct fg_job *ending;         /* linked by next: only their last events are missing */
    uint32_t turn;                 /* which prefilling job goes first rotates */
    struct fg_batch running, next; /* their step: NULL where none runs, none is prepared */
    struct fg_ticket ticket;       /* of the one that runs */
    bool ahead;                    /* the next one was planned, whether or not there were pages */
};

struct fg_flow {
    struct fg_runner runner; /* the GPU thread's once it runs */
    struct fg_vocabulary vocabulary;
    struct fg_host_tier *host; /* the runner's */
    struct fg_cache *cache;    /* or NULL */
    char *cache_dir;
    uint8_t model[16], numerics[16]; /* the file's fingerprint, the engine's numerics id */
    uint8_t secret[FG_SECRET_BYTES]; /* of the tenants */
    struct fg_flow_info info;
    char *model_name, *model_path, *architecture, *device, *driver;
    char numerics_hex[33];
    uint32_t context; /* tokens a job may have: the engine's, and no more than its pages hold */
    uint32_t n_seq;
    uint32_t n_vocab;                            /* rows of the logits */
    size_t page_bytes, block_bytes, state_bytes; /* as stored; the runner's, for other threads */

    pthread_mutex_t lock; /* guards what follows; held for moments only */
    struct fg_job *oldest, *newest;
    uint32_t n_jobs, max_jobs;
    uint64_t next_id;
    bool draining;
    struct fg_operation *operations;
    uint32_t n_operations;
    struct fg_gpu_call *gpu_calls;
    pthread_cond_t operations_changed; /* an operation ended, a call was made */

    struct fg_queue text_queue, gpu_queue; /* of jobs; what the two threads sleep on */
    pthread_t text_thread, gpu_thread;
    bool threads_run;

    struct fg_sched sched;
    struct fg_sampler sampler;
    struct fg_rate prefill_rate, restore_rate; /* of tokens */
};

/* --- flow.c: any thread --- */
/* The root of a tenant's keys, with this model and the device's numerics. */
struct fg_key fg_flow_root(const struct fg_flow *flow, const struct fg_tenant *tenant);
/* The same with what it is made of. */
struct fg_cache_root fg_flow_describe_root(const struct fg_flow *flow,
                                           const struct fg_tenant *tenant);
/* Tells the store whose root this is, and of what; it is stored with its first block. */
void fg_flow_note_root(struct fg_flow *flow, const struct fg_tenant *tenant);

/* --- operation.c --- */
/* Cancels all operations and waits for their ends; the GPU thread must run. */
void fg_operation_end_all(struct fg_flow *flow);
/* The GPU thread: runs what operations have asked for. */
void fg_operation_gpu_calls(struct fg_flow *flow);

/* --- job.c: any thread that has the job --- */
void fg_job_unref(struct fg_job *job);
bool fg_job_canceled(const struct fg_job *job);
void fg_job_show(struct fg_job *job, enum fg_job_phase phase);
/* PROGRESS, when the job wants it. */
void fg_job_progress(struct fg_job *job);
void fg_job_delta(struct fg_job *job, struct fg_str text, const struct fg_job_token *token);
/* Takes the job from the list of jobs, so that whoever sees its end no longer finds it there, and
 * sends its last event. The flow's reference stays. */
void fg_job_done(struct fg_flow *flow, struct fg_job *job, enum fg_finish_reason finish);
void fg_job_failed(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err);
/* Appends an answer token; keys follow. FG_ENOMEM. */
int fg_job_append(struct fg_job *job, int32_t token, struct fg_err *err);

/* --- prompt.c: the text thread --- */
/* Turns job->req into job->tokens and prefix keys; checks all of the request.
 * FG_EINVAL, FG_ETOOLONG, FG_EUNSUPPORTED, FG_ENOMEM. */
int fg_prompt_prepare(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);

/* --- schedule.c: the GPU thread --- */
/* wake: what the thread sleeps on. */
void fg_sched_init(struct fg_sched *s, struct fg_queue *wake);
void fg_sched_finish(struct fg_sched *s);
void fg_sched_add(struct fg_sched *s, struct fg_job *job);
bool fg_sched_idle(const struct fg_sched *s);
/* One turn: what can be done beside the step that runs, or, once it has ended, what follows from it
 * and the next one's begin. False: there is nothing to do before the runner's queue wakes up. */
bool fg_sched_turn(struct fg_flow *flow);
/* Before job's sequence goes: lets go a prepared step that it is in. It is in none that runs. */
void fg_sched_unprepare(struct fg_sched *s, const struct fg_job *job);
/* Before all sequences go: no step runs or is prepared behind it. */
void fg_sched_stop(struct fg_flow *flow);

/* --- admit.c: the GPU thread --- */
/* Moves waiting jobs into sequences while there are places and pages. */
void fg_admit_waiting(struct fg_flow *flow);
/* Sends the youngest active job but one back to wait, so that its pages can go. False when there is
 * only one. */
bool fg_admit_preempt(struct fg_flow *flow);
/* Takes job from the active list, its sequence dropped. */
void fg_admit_remove(struct fg_flow *flow, struct fg_job *job);
/* Takes job from the waiting list; nothing when it is not there. */
void fg_admit_withdraw(struct fg_flow *flow, struct fg_job *job);
/* Ends an active or waiting job with an error. */
void fg_admit_fail(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err);
/* The device is lost: reopens it and lets every active job begin again, once. */
void fg_admit_recover(struct fg_flow *flow, const struct fg_err *cause);
/* Pages of `n` tokens. */
uint32_t fg_admit_pages(const struct fg_flow *flow, uint32_t n);

/* --- ending.c: the GPU thread --- */
/* Sends DONE with job->finish. False: not yet, the store's reader still looks. */
bool fg_ending_done(struct fg_flow *flow, struct fg_job *job);
/* Sends FAILED. */
void fg_ending_failed(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err);
/* The job is in no list any more: the flow's reference goes, or does once DONE is sent. */
void fg_ending_leave(struct fg_flow *flow, struct fg_job *job);
/* Sends what can be sent by now. */
void fg_ending_turn(struct fg_flow *flow);

/* --- forecast.c: the GPU thread --- */
/* Ends a waiting job that is a forecast: its account tells what would be. */
void fg_forecast(struct fg_flow *flow, struct fg_job *job);

/* --- prefill.c: the GPU thread --- */
/* Brings in the next piece of job's stored prefix. The errors of fg_restore_advance(). */
int fg_prefill_restore(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);
/* Tokens of job's span that begins behind `from` of them, at most `budget`: ends at a boundary
 * where a state is wanted, at a chunk's end, or at the end of what is known. */
uint32_t fg_prefill_span(const struct fg_flow *flow, const struct fg_job *job, uint32_t from,
                         uint32_t budget);
/* After a step that began behind `from` of job's tokens: keeps blocks and states, tells progress.
 * FG_EDEVICELOST; other failures of the caches only end the job's caching. */
int fg_prefill_keep(struct fg_flow *flow, struct fg_job *job, uint32_t from, struct fg_err *err);

/* --- decode.c: the GPU thread --- */
/* All of job's tokens are computed and its logits are there: chooses the next token, or ends the
 * job, which is gone then. FG_EDEVICELOST. */
int fg_decode_next(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);
/* Sends the chosen token's text, if one is not told yet: before the next one is chosen. */
void fg_decode_tell(const struct fg_flow *flow, struct fg_job *job);

#endif
