/* Verify: a job that computes a stored prefix again and compares what it gets, page by page and
 * state by state, with what is stored, bit for bit. The job is one like others to the scheduler: it
 * computes all of its prompt, uses nothing of the caches, and answers nothing. */
#ifndef FG_VERIFY_H
#define FG_VERIFY_H

#include "cache/cache.h"
#include "fulgur/error.h"
#include "model/engine.h"

struct fg_verify {
    struct fg_cache *cache;
    const struct fg_cache_path *path;            /* the job's tokens */
    size_t page_bytes, block_bytes, state_bytes; /* as in struct fg_prefix_cache */
    uint32_t from; /* blocks that need no look: another prefix's verification had them */
    /* Written by the GPU thread while the job runs. */
    uint32_t blocks, states;                    /* boundaries that were looked at */
    uint64_t verified, wrong, unreadable, gone; /* records; wrong ones are dropped */
};

/* Where a piece that begins at token `at` must end at the latest to see the next stored state;
 * `end` when there is none before. */
uint32_t fg_verify_span_end(const struct fg_verify *v, uint32_t at, uint32_t end);
/* Compares what seq holds and was not compared yet. The GPU thread. FG_EDEVICE, FG_EDEVICELOST,
 * FG_ENOMEM. */
int fg_verify_look(struct fg_verify *v, struct fg_seq *seq, struct fg_err *err);

#endif
