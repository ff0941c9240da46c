/* Verify: a job that computes a stored prefix again and compares what it gets, page by page and
 * state by state, with what is stored, bit for bit. The job is one like others to the scheduler: it
 * computes all of its prompt, uses nothing of the caches, and answers nothing. What it has computed
 * is read from the device and what is stored from the store, both by tickets; the job rests until
 * they are compared, and the runner goes on with others. */
#ifndef FG_VERIFY_H
#define FG_VERIFY_H

#include "longest.h"

struct fg_verify {
    const struct fg_cache_path *path; /* the job's tokens */
    size_t state_bytes;               /* as in struct fg_prefix_cache */
    uint32_t from; /* blocks that need no look: another prefix's verification had them */
    /* The runner's while the job runs. */
    uint32_t begun;                             /* boundaries that looks have begun at */
    uint32_t blocks;                            /* and that were compared */
    uint32_t under_way;                         /* looks */
    uint64_t verified, wrong, unreadable, gone; /* records; wrong ones go when it ends */
    uint32_t first_wrong; /* the block that it is, or at whose end; where `wrong` is not 0 */
    bool wrong_block, wrong_state;  /* which of the two, or both */
    struct fg_verify *next_doubted; /* of those that found something wrong: sweep.h */
    bool doubted;                   /* it is one of them */
    struct fg_err error;            /* code not 0: why not all could be compared */
};

/* Where a span that begins at token `at` must end at the latest to see the next stored state, and
 * no more blocks than a look takes; `end` when there is nothing before. */
uint32_t fg_verify_span_end(const struct fg_verify *v, uint32_t at, uint32_t end);
/* Begins to compare what seq holds and was not compared yet. No step of seq is submitted. v->error
 * tells what failed; FG_EDEVICELOST is returned as well. The runner's thread, as all below. */
int fg_verify_look(struct fg_verify *v, const struct fg_prefix_cache *r, struct fg_seq *seq,
                   struct fg_err *err);
/* Is something begun and not compared? r->wake wakes up when it can go on. */
bool fg_verify_pending(const struct fg_verify *v);
/* A record that is dropped, or will be when the verification ends, and maybe others behind it:
 * block `index`, or the state at its end. */
struct fg_verify_dropped {
    struct fg_verify *by; /* who found it */
    struct fg_key root, key;
    uint32_t index;
};
/* Compares what has been read. True: what others have of *dropped, and of what follows it, is to
 * go; call again. */
bool fg_verify_turn(const struct fg_prefix_cache *r, struct fg_verify_dropped *dropped);
/* v is about to go: what is under way ends by itself and is given back at a later turn. */
void fg_verify_stop(struct fg_verify *v, const struct fg_prefix_cache *r);
/* Does the device still read pages for a comparison, which come free then? */
bool fg_verify_reading(const struct fg_prefix_cache *r);
/* The device is about to be closed: waits for all that is under way, and compares none of it. A job
 * that begins again begins where its comparisons ended. */
void fg_verify_drain(const struct fg_prefix_cache *r);

#endif
