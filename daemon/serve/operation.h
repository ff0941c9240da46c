/* An operation: an operation on the store at somebody's wish, as the API sees it. Each runs on a
 * thread of its own, so that none waits for another; what needs the device goes through the GPU
 * thread.
 *
 * Everything acts within one tenant: what others have does not exist for it. Events come through
 * `sink`, called on the operation's thread, in order: any number of PROGRESS and DATA, then exactly
 * one DONE or FAILED, after which the operation no longer touches the sink. The sink must not
 * block. */
#ifndef FG_OPERATION_H
#define FG_OPERATION_H

#include "cache/pack_key.h"
#include "job.h"

struct fg_operation;

enum fg_operation_kind {
    FG_OPERATION_LIST,    /* what is stored */
    FG_OPERATION_FIND,    /* how much of a prompt is stored, and under which id */
    FG_OPERATION_FORGET,  /* removes */
    FG_OPERATION_EXPORT,  /* a prefix as a pack, in DATA events */
    FG_OPERATION_IMPORT,  /* a pack into the store */
    FG_OPERATION_COMPACT, /* gives the file's free space back */
    FG_OPERATION_VERIFY,  /* computes again what is stored, and compares */
};

struct fg_operation_request {
    enum fg_operation_kind kind;
    struct fg_tenant tenant;
    char who[FG_JOB_WHO]; /* who asks, for the log: as in struct fg_job_request */
    bool runs_daemon;     /* whoever asks: there is room for these when others have filled theirs */
    char *id;             /* hexadecimal digits that a stored block's key begins with; NULL: all */
    bool before;          /* FORGET with id: also blocks before it that lead to nothing else */
    uint32_t limit;       /* LIST, VERIFY: rows, prefixes at most */
    struct fg_job_request prompt; /* FIND */
    void *bytes;                  /* IMPORT: the pack; malloc'd */
    size_t n_bytes;
    bool unsigned_too; /* IMPORT: also a pack of the version that had no signature */
};
/* Frees what the fields point to (malloc'd each); the struct itself is the caller's. */
void fg_operation_request_finish(struct fg_operation_request *r);

/* A stored prefix. */
struct fg_operation_row {
    char id[33];
    uint32_t tokens, states;
    uint64_t bytes, own_bytes; /* see struct fg_cache_entry */
    uint64_t newer;            /* rows that were used after it: the clock of uses is all tenants' */
    bool leaf;                 /* nothing stored continues it; else at least two do */
    bool current;              /* of the model and the numerics that are running */
    char model[65];            /* its name */
    char text[128]; /* the beginning, one line of UTF-8 as far as tokens are; "" when not current */
};

struct fg_operation_result {
    struct fg_operation_row *rows; /* LIST; [n_rows], malloc'd */
    size_t n_rows;
    uint64_t total;                   /* LIST: rows there are; VERIFY: prefixes looked at */
    char id[33];                      /* FIND, IMPORT: of the last stored block */
    uint32_t tokens, prompt_tokens;   /* FIND: how many are stored, and of how many; IMPORT */
    uint64_t blocks, states, bytes;   /* FORGET: removed; EXPORT, IMPORT: in the pack */
    uint64_t documents;               /* FORGET */
    char signer[FG_PACK_PUBLIC_TEXT]; /* IMPORT: who signed the pack; "": nobody */
    /* VERIFY, records: equal; others, which were dropped; that did not verify, dropped as well;
     * that went meanwhile; blocks of prefixes that are longer than the context. */
    uint64_t verified, wrong, unreadable, gone, skipped;
    uint64_t before, after; /* COMPACT: bytes of the file */
};
void fg_operation_result_finish(struct fg_operation_result *r);

enum fg_operation_event_kind {
    FG_OPERATION_PROGRESS,
    FG_OPERATION_DATA,
    FG_OPERATION_DONE,
    FG_OPERATION_FAILED
};

/* Pointers live during the sink's call only, but the result's, which the sink takes over. */
struct fg_operation_event {
    enum fg_operation_event_kind kind;
    uint64_t done, total; /* PROGRESS */
    const void *bytes;    /* DATA */
    size_t n;
    struct fg_operation_result result; /* DONE */
    struct fg_err error;               /* FAILED */
};
typedef void fg_operation_sink(void *ctx, struct fg_operation_event *event);

/* Takes over what `request` points to (and zeroes it). FG_ENOTFOUND (the daemon runs without a
 * store), FG_EBUSY (too many operations, or draining), FG_ENOMEM. On success *operation is the
 * caller's until fg_operation_release(). Any thread. */
int fg_operation_start(struct fg_flow *flow, struct fg_operation_request *request,
                       fg_operation_sink *sink, void *sink_ctx, struct fg_operation **operation,
                       struct fg_err *err);
/* It ends with FAILED, FG_ECANCELED, unless it was past the point. Any thread. */
void fg_operation_cancel(struct fg_operation *operation);
/* A DATA event has been dealt with: an operation sends four, of 1 MiB at most, then waits for this.
 * Any thread. */
void fg_operation_more(struct fg_operation *operation);
/* Gives back the handle, once DONE or FAILED has been seen; NULL is fine. */
void fg_operation_release(struct fg_operation *operation);

#endif
