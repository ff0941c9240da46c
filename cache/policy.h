/* What the cache keeps: the value of a record, and which states are worth their bytes.
 *
 * The idea is Marconi's (arXiv 2411.19379): a state of a recurrent model costs as much as thousands
 * of tokens of KV, so it is kept where prompts are seen to part or to end, and what goes first is
 * what saves least for its bytes. How likely a record serves again is learnt from what became of
 * its like, so that nothing has to be tuned to a workload. Its like are the records of its class:
 * the same kind of boundary, used as often before. Blocks mark nothing: theirs is fixed.
 *
 *     value = reuse x seconds / bytes
 *     reuse = p S(t) / (1 - p + p S(t)) / (1 + t / 2w)     S(t) = (1 + t / 2w)^-2
 *
 * p: the part of its class that was used again; w: how long those waited for it; t: how long this
 * one has. The first factor is the chance that it is one of those, given that it still waits (after
 * S of those that will be used have been); the second how soon. Time is counted in turns: a turn is
 * as many bytes put as the budget has. So nothing here knows the time of day, and nothing ages
 * while nothing presses.
 *
 * seconds: the prefill that is repeated without the record, beginning at the state before it.
 * bytes: what is free once it is gone: of a state at the end of a branch also the KV that no other
 * state needs. Pure functions, no I/O. Not thread-safe: the owner's. */
#ifndef FG_CACHE_POLICY_H
#define FG_CACHE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* What a record marks. Written to disk: append only. */
enum fg_boundary {
    FG_AT_BLOCK,      /* KV blocks, wherever they are */
    FG_AT_SPACING,    /* a state somewhere in a long prompt */
    FG_AT_PROMPT_END, /* at the last boundary of a prompt */
    FG_AT_ANSWER_END, /* at the last boundary of an answer */
    FG_AT_USER_START, /* where the last message of the user, or its last part, begins */
    FG_AT_SYSTEM_END, /* behind the system prompt and the tools */
    FG_AT_BRANCH,     /* where a prompt left one that was seen before */
    FG_AT_HINT,       /* where a client said that it will come again */
    FG_AT_DOCUMENT,   /* no state: a document (document.h) */
    FG_BOUNDARIES
};

enum {
    FG_POLICY_USES = 4, /* a class for 0, 1, 2 and more uses */
    FG_POLICY_CLASSES = FG_BOUNDARIES * FG_POLICY_USES,
    FG_POLICY_MIN_SPACING = 512, /* tokens between two states on a long prompt, at least */
};

/* Ticks of the clock in a turn. */
#define FG_POLICY_TURN (1ull << 32)
/* What a document is taken to save, whatever is in it: its client's next request is computed anew
 * or refused without it. For its bytes that is more than blocks save. */
#define FG_DOCUMENT_SECONDS 1.0
/* Values of what can never serve are about this. */
#define FG_POLICY_NOTHING (-1e9)

struct fg_policy {
    /* Of each class: records seen, those that were used, the turns that these waited in sum. What
     * is older counts less and less. */
    double seen[FG_POLICY_CLASSES], used[FG_POLICY_CLASSES], waited[FG_POLICY_CLASSES];
    double p[FG_POLICY_CLASSES], w[FG_POLICY_CLASSES]; /* what values are computed with */
    uint32_t epoch;    /* ascends when one of these changes: values are to be renewed */
    double level;      /* value of what was evicted last */
    uint64_t level_at; /* and when */
};

void fg_policy_init(struct fg_policy *p);
/* A record was put. */
void fg_policy_put(struct fg_policy *p, enum fg_boundary kind);
/* One was used that had been used `uses` times, the last time (or its put) `age` ticks ago. */
void fg_policy_use(struct fg_policy *p, enum fg_boundary kind, uint32_t uses, uint64_t age);
/* A record was found that had been used `uses` times, nobody knows when. */
void fg_policy_recall(struct fg_policy *p, enum fg_boundary kind, uint32_t uses);
/* A record of this value went to make room: what bytes cost now. */
void fg_policy_evicted(struct fg_policy *p, double value, uint64_t now);

/* The part of its class that is used (again), 0..1. */
double fg_policy_chance(const struct fg_policy *p, enum fg_boundary kind, uint32_t uses);
/* log2 of the value in seconds a byte. age: ticks since the last use. */
double fg_policy_value(const struct fg_policy *p, enum fg_boundary kind, uint32_t uses,
                       double seconds, uint64_t bytes, uint64_t age);
/* Is a new record worth its bytes? It has to be worth more than what was evicted last, which counts
 * half after each turn without evictions, and to save more than writing it costs. What a client
 * asked for is, whatever it saves. */
bool fg_policy_admits(const struct fg_policy *p, enum fg_boundary kind, double seconds,
                      uint64_t bytes, uint64_t now);
/* What the clock advances when `bytes` are put under a budget of `max_bytes`; at least 1. */
uint64_t fg_policy_ticks(uint64_t bytes, uint64_t max_bytes);

#endif
