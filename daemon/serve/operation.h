/* A task: an operation on the store at somebody's wish, as the API sees it. Each runs on a thread
 * of its own, so that none waits for another; what needs the device goes through the GPU thread.
 *
 * Everything acts within one tenant: what others have does not exist for it. Events come through
 * `sink`, called on the task's thread, in order: any number of PROGRESS and DATA, then exactly one
 * DONE or FAILED, after which the task no longer touches the sink. The sink must not block. */
#ifndef FG_TASK_H
#define FG_TASK_H

#include "job.h"

struct fg_task;

enum fg_task_kind {
    FG_TASK_LIST,    /* what is stored */
    FG_TASK_FIND,    /* how much of a prompt is stored, and under which id */
    FG_TASK_FORGET,  /* removes */
    FG_TASK_EXPORT,  /* a prefix as a pack, in DATA events */
    FG_TASK_IMPORT,  /* a pack into the store */
    FG_TASK_COMPACT, /* gives the file's free space back */
    FG_TASK_VERIFY,  /* computes again what is stored, and compares */
};

struct fg_task_request {
    enum fg_task_kind kind;
    struct fg_tenant tenant;
    char *id;       /* hexadecimal digits that a stored block's key begins with; NULL: all */
    bool before;    /* FORGET with id: also blocks before it that lead to nothing else */
    uint32_t limit; /* LIST, VERIFY: rows, prefixes at most */
    struct fg_job_request prompt; /* FIND */
    void *bytes;                  /* IMPORT: the pack; malloc'd */
    size_t n_bytes;
};
/* Frees what the fields point to (malloc'd each); the struct itself is the caller's. */
void fg_task_request_finish(struct fg_task_request *r);

/* A stored prefix. */
struct fg_task_row {
    char id[33];
    uint32_t tokens, states;
    uint64_t bytes, own_bytes; /* see struct fg_cache_entry */
    uint64_t newer;            /* rows that were used after it: the clock of uses is all tenants' */
    bool leaf;                 /* nothing stored continues it; else at least two do */
    bool current;              /* of the model and the numerics that are running */
    char model[65];            /* its name */
    char text[128]; /* the beginning, one line of UTF-8 as far as tokens are; "" when not current */
};

struct fg_task_result {
    struct fg_task_row *rows; /* LIST; [n_rows], malloc'd */
    size_t n_rows;
    uint64_t total;                 /* LIST: rows there are; VERIFY: prefixes looked at */
    char id[33];                    /* FIND, IMPORT: of the last stored block */
    uint32_t tokens, prompt_tokens; /* FIND: how many are stored, and of how many; IMPORT */
    uint64_t blocks, states, bytes; /* FORGET: removed; EXPORT, IMPORT: in the pack */
    /* VERIFY, records: equal; others, which were dropped; that did not verify, dropped as well;
     * that went meanwhile; blocks of prefixes that are longer than the context. */
    uint64_t verified, wrong, unreadable, gone, skipped;
    uint64_t before, after; /* COMPACT: bytes of the file */
};
void fg_task_result_finish(struct fg_task_result *r);

enum fg_task_event_kind { FG_TASK_PROGRESS, FG_TASK_DATA, FG_TASK_DONE, FG_TASK_FAILED };

/* Pointers live during the sink's call only, but the result's, which the sink takes over. */
struct fg_task_event {
    enum fg_task_event_kind kind;
    uint64_t done, total; /* PROGRESS */
    const void *bytes;    /* DATA */
    size_t n;
    struct fg_task_result result; /* DONE */
    struct fg_err error;          /* FAILED */
};
typedef void fg_task_sink(void *ctx, struct fg_task_event *event);

/* Takes over what `request` points to (and zeroes it). FG_ENOTFOUND (the daemon runs without a
 * store), FG_EBUSY (too many tasks, or draining), FG_ENOMEM. On success *task is the caller's until
 * fg_task_release(). Any thread. */
int fg_task_start(struct fg_flow *flow, struct fg_task_request *request, fg_task_sink *sink,
                  void *sink_ctx, struct fg_task **task, struct fg_err *err);
/* It ends with FAILED, FG_ECANCELED, unless it was past the point. Any thread. */
void fg_task_cancel(struct fg_task *task);
/* A DATA event has been dealt with: a task sends four, of 1 MiB at most, then waits for this. Any
 * thread. */
void fg_task_more(struct fg_task *task);
/* Gives back the handle, once DONE or FAILED has been seen; NULL is fine. */
void fg_task_release(struct fg_task *task);

#endif
