#include "sim.h"

#include <stdlib.h>
#include <string.h>

static void *none_create(const struct sim_policy *p, const struct sim_model *m, uint64_t budget)
{
    static char nothing;

    (void)p, (void)m, (void)budget;
    return &nothing;
}

static int none_serve(void *self, const struct sim_request *q, uint32_t *reused)
{
    (void)self, (void)q;
    *reused = 0;
    return 0;
}

static void none_destroy(void *self)
{
    (void)self;
}

#define TREE tree_create, tree_serve, tree_destroy
#define SNAPSHOT snapshot_create, snapshot_serve, snapshot_destroy
const struct sim_policy sim_policies[] = {
    {"fulgur", "cache/policy.c: boundaries by value", TREE, 0, true, true},
    {"none", "no cache", none_create, none_serve, none_destroy, 0, false, false},
    {"lru-1024", "shared blocks, a state each 1,024 tokens, LRU", TREE, 1024, false, false},
    {"last-prompt", "one slot with the last prompt and 8 checkpoints (llama.cpp)", slot_create,
     slot_serve, slot_destroy, 0, false, false},
    {"snapshots", "KV and state of whole prompts in files, LRU (ds4)", SNAPSHOT, 0, false, false},
    {"snapshots-end", "the same, taken at the end of the answer", SNAPSHOT, 0, true, false},
    {"fine-64", "shared blocks, a state each block, LRU (Marconi's vLLM+)", TREE, 64, false, false},
    {"fine-256", "shared blocks, a state each 256 tokens, LRU", TREE, 256, false, false},
    {"lru-ends", "shared blocks, states at ends, branches and 1,024s, LRU", TREE, 1024, true,
     false},
};
const size_t sim_n_policies = sizeof sim_policies / sizeof *sim_policies;

struct sim_model sim_minimax_m1(double rate)
{
    return (struct sim_model){.rate = rate,
                              .half_depth = 2 * 45.9e9 / (4.0 * 10 * 8192),
                              .kv_bytes = 40 << 10,
                              .state_bytes = 280ull << 20};
}

double sim_seconds(const struct sim_model *m, uint32_t from, uint32_t to)
{
    double n = (double)to - from, middle = ((double)to + from) / 2;

    return n / m->rate * (1 + middle / m->half_depth);
}

/* A block's key follows from the pieces of segments that it consists of and the block before. */
static struct fg_key block_key(const struct trace_request *r, uint32_t *segment, uint32_t *offset,
                               const struct fg_key *parent)
{
    int32_t what[FG_BLOCK_TOKENS] = {0};
    uint64_t h = 0;

    for (uint32_t n = 0, take; n < FG_BLOCK_TOKENS; n += take) {
        const struct trace_segment *s = &r->segments[*segment];

        take = s->tokens - *offset;
        take = take < FG_BLOCK_TOKENS - n ? take : FG_BLOCK_TOKENS - n;
        if (take) {
            h = (h ^ s->id) * 0x9e3779b97f4a7c15u;
            h = ((h ^ h >> 32) + *offset) * 0xbf58476d1ce4e5b9u;
            h = ((h ^ h >> 32) + take) * 0x94d049bb133111ebu;
        }
        *offset += take;
        if (*offset == s->tokens) {
            (*segment)++;
            *offset = 0;
        }
    }
    memcpy(what, &h, sizeof h);
    return fg_key_next(parent, what);
}

static void block_keys(const struct trace_request *r, struct fg_key *keys)
{
    static const uint8_t id[16];
    struct fg_key key = fg_key_root(id, id, "", 0);
    uint32_t segment = 0, offset = 0;

    for (uint32_t b = 0; b < r->n_total / FG_BLOCK_TOKENS; b++)
        keys[b] = key = block_key(r, &segment, &offset, &key);
}

int sim_run(const struct trace *t, const struct sim_policy *p, const struct sim_model *m,
            uint64_t budget, struct sim_result *out, struct fg_err *err)
{
    uint32_t longest = 0;
    struct fg_key *keys;
    void *self = NULL;
    int rc = 0;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < t->n; i++)
        longest = t->requests[i].n_total > longest ? t->requests[i].n_total : longest;
    keys = malloc((longest / FG_BLOCK_TOKENS + 1) * sizeof *keys);
    if (keys)
        self = p->create(p, m, budget);
    if (!self)
        rc = FG_ENOMEM;
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        struct sim_request q = {&t->requests[i], keys};
        uint32_t reused = 0;

        block_keys(q.r, keys);
        rc = p->serve(self, &q, &reused);
        out->tokens += q.r->n_prompt;
        out->reused += reused;
        out->seconds += sim_seconds(m, 0, q.r->n_prompt);
        out->saved += sim_seconds(m, 0, reused);
    }
    if (self)
        p->destroy(self);
    free(keys);
    return rc ? fg_fail(err, rc, "no memory for the simulation") : 0;
}
