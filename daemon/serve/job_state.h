/* A job from its submission to its last event, as the files of serving see it. */
#ifndef FG_JOB_STATE_H
#define FG_JOB_STATE_H

#include <stdatomic.h>

#include "account.h"
#include "answer.h"
#include "base/log.h"
#include "base/queue.h"
#include "constraint.h"
#include "prefix/bring.h"
#include "prefix/explain.h"
#include "prefix/keep.h"
#include "prefix/prefix_keys.h"
#include "rules.h"
#include "sample.h"

struct fg_flow;

enum { FG_BOUNDS = 3 /* named places in a chat */, FG_PLACES = 9 /* others */ };

/* A token that was chosen and not told yet. */
struct fg_fresh {
    bool there;
    int32_t id;
    struct fg_str text;        /* the answer's, until its next token */
    struct fg_job_token drawn; /* with drawn_logprobs */
    struct fg_token_logprob top[FG_MAX_LOGPROBS];
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

    /* Set by a text thread, then the GPU thread's. */
    int32_t *tokens; /* prompt and answer */
    uint32_t n_tokens, cap_tokens;
    uint32_t n_prompt;
    /* Of a chat, boundaries in tokens, at or before the end of the system prompt and tools, the
     * start of the last user message, and of its last part: others are likely to part there. 0:
     * none. */
    uint32_t bounds[FG_BOUNDS];
    /* What the request's hints say, and where lines were moved behind a text: boundaries in tokens,
     * as above; 0: there is no such place. What is kept there stays so many seconds. */
    struct {
        uint32_t at, seconds;
    } hints[FG_PLACES];
    size_t n_hints;
    uint32_t head_end, first_end; /* of a chat: tokens before its first turn that is not of the
                                   * system, and before that one's end; 0: unknown */
    enum fg_answer_start start;   /* of a chat */
    uint32_t max_new;             /* tokens to generate at most */
    struct fg_rules rules;
    struct fg_constraint constraint;
    struct fg_prefix prefix;

    /* The GPU thread's. */
    struct fg_seq *seq; /* tokens[0 .. its length); NULL while the job waits */
    struct fg_restore restore;
    bool brought;          /* the stored prefix is in place, and the job computes the rest */
    bool followed;         /* since it was admitted it waited for another job: follow.h */
    struct fg_job *leader; /* that it waits for, compared and not used; or NULL */
    uint32_t common;       /* blocks that the two have in common */
    bool caching;          /* writes the caches; off after a capture failed */
    bool anew;             /* it takes nothing from the caches: what it took was bad (distrust.h) */
    bool disowned;         /* what it took, or left there, is dropped already, as bad */
    struct fg_trail trail;
    uint32_t part;     /* a boundary, in tokens, where this prompt leaves what is stored; 0: none */
    bool deferred;     /* its next token is chosen once its mask is there */
    uint32_t span;     /* tokens in the step that runs; 0: it is not in it */
    float *logits;     /* where they are read: [1 or FG_PROMPT_LOGITS][n_vocab] */
    uint32_t n_best;   /* that are read; 0: all logits are */
    bool spare_logits; /* all logits are read beside them, for tokens that are not among them */
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
    uint32_t told;        /* by the last PROGRESS */
    uint32_t told_prompt; /* tokens, by PROMPT */

    /* For fg_flow_jobs(). */
    _Atomic uint32_t phase, show_prompt, show_done, show_reused, show_generated;
};

/* --- job.c: any thread that has the job --- */

void fg_job_unref(struct fg_job *job);
bool fg_job_canceled(const struct fg_job *job);
/* Does it take what the caches have? */
static inline bool fg_job_reads(const struct fg_job *job)
{
    return job->req.cache != FG_CACHE_NONE && !job->anew;
}
/* Is an error the request's own? Its words may quote the request, which no line of the log does:
 * they are the client's alone. */
static inline bool fg_request_at_fault(int code)
{
    return code == FG_EINVAL || code == FG_EUNSUPPORTED;
}
void fg_job_show(struct fg_job *job, enum fg_job_phase phase);
/* A line `job=N tenant=... key=value ...` of the log. Text that a request, a file or a driver gave
 * goes through fg_log_text(). */
__attribute__((format(printf, 3, 4))) void
fg_job_log(enum fg_log_level level, const struct fg_job *job, const char *fmt, ...);
/* The same, ended by cause="...", which is why something failed. */
__attribute__((format(printf, 4, 5))) void fg_job_log_cause(enum fg_log_level level,
                                                            const struct fg_job *job,
                                                            const struct fg_err *cause,
                                                            const char *fmt, ...);
/* BEGUN. */
void fg_job_begun(struct fg_job *job);
/* PROMPT. */
void fg_job_prompt(struct fg_job *job, const struct fg_job_token *tokens, size_t n);
/* PROGRESS, when the job wants it. */
void fg_job_progress(struct fg_job *job);
void fg_job_delta(struct fg_job *job, struct fg_str text, const struct fg_job_token *token);
/* Takes the job from the list of jobs, so that whoever sees its end no longer finds it there, and
 * sends its last event. The flow's reference stays. */
void fg_job_done(struct fg_flow *flow, struct fg_job *job, enum fg_finish_reason finish);
void fg_job_failed(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err);
/* Appends an answer token; keys follow. FG_ENOMEM. */
int fg_job_append(struct fg_job *job, int32_t token, struct fg_err *err);

#endif
