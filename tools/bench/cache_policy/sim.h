/* The simulation: what a request reuses under a policy, and what that saves. */
#ifndef FG_POLICY_SIM_H
#define FG_POLICY_SIM_H

#include "cache/key.h"
#include "trace.h"

/* What a model costs. */
struct sim_model {
    double rate;       /* tokens of prefill a second at the start of a prompt */
    double half_depth; /* position at which a token takes twice as long (softmax attention) */
    uint64_t kv_bytes; /* a token */
    uint64_t state_bytes;
};

/* MiniMax-M1: 40 KiB a token, 280 MiB a state; a token computes 2 x 45.9e9 operations and
 * 4 x 10 layers x 8192 more for each position before it. */
struct sim_model sim_minimax_m1(double rate);
/* Seconds of prefill of the tokens [from, to). */
double sim_seconds(const struct sim_model *m, uint32_t from, uint32_t to);

/* A request with the keys of its full blocks. */
struct sim_request {
    const struct trace_request *r;
    const struct fg_key *keys; /* n_total / 64 */
};

struct sim_policy {
    const char *name, *what;
    /* NULL: no memory. The model outlives it. */
    void *(*create)(const struct sim_policy *p, const struct sim_model *m, uint64_t budget);
    /* What the prompt reuses, in tokens, and then what the cache keeps of it. FG_ENOMEM. */
    int (*serve)(void *self, const struct sim_request *q, uint32_t *reused);
    void (*destroy)(void *self); /* NULL is fine */
    /* For tree.c: a state each `spacing` tokens (0: none); at ends and branches. */
    uint32_t spacing;
    bool ends, valued;
};

enum { SIM_OURS = 0 }; /* the first row; the others are compared with it */
extern const struct sim_policy sim_policies[];
extern const size_t sim_n_policies;

struct sim_result {
    uint64_t tokens, reused; /* of prompts */
    double seconds, saved;   /* of prefill: without a cache; not spent */
};

/* 0 or FG_ENOMEM. */
int sim_run(const struct trace *t, const struct sim_policy *p, const struct sim_model *m,
            uint64_t budget, struct sim_result *out, struct fg_err *err);

/* --- tree.c: shared blocks and states in the store's own index --- */
void *tree_create(const struct sim_policy *p, const struct sim_model *m, uint64_t budget);
int tree_serve(void *self, const struct sim_request *q, uint32_t *reused);
void tree_destroy(void *self);

/* --- slot.c, snapshot.c --- */
void *slot_create(const struct sim_policy *p, const struct sim_model *m, uint64_t budget);
int slot_serve(void *self, const struct sim_request *q, uint32_t *reused);
void slot_destroy(void *self);
void *snapshot_create(const struct sim_policy *p, const struct sim_model *m, uint64_t budget);
int snapshot_serve(void *self, const struct sim_request *q, uint32_t *reused);
void snapshot_destroy(void *self);

#endif
