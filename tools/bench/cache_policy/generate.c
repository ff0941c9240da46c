/* The generated traces: what is random about them, and how. Sizes are in tokens and spread evenly
 * over their logarithm. Every choice comes from one generator of fixed seed. */
#include "trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPEN = 32, MAX_PARTS = 512, MAX_CONTEXT = 120000 };

const char *const trace_kinds[TRACE_KINDS] = {"chat", "agent", "documents", "subagents", "mix"};

/* One conversation that goes on. */
struct talk {
    struct trace_segment parts[MAX_PARTS];
    size_t n;
    uint32_t tokens;
    uint32_t turns; /* left */
};

struct gen {
    struct trace *trace;
    struct fg_err *err;
    uint64_t rng, next_id;
    struct talk open[MAX_OPEN];
    size_t n_open;
    struct trace_segment shared[64]; /* system prompts, documents */
    int rc;
};

static uint64_t draw(struct gen *g)
{
    uint64_t z = (g->rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(struct gen *g)
{
    return (double)(draw(g) >> 11) * 0x1p-53;
}

static bool chance(struct gen *g, double p)
{
    return uniform(g) < p;
}

static uint32_t between(struct gen *g, uint32_t least, uint32_t most)
{
    double x = log(least) + uniform(g) * (log(most) - log(least));

    return (uint32_t)exp(x);
}

static struct trace_segment fresh(struct gen *g, enum trace_role role, uint32_t least,
                                  uint32_t most)
{
    return (struct trace_segment){++g->next_id, between(g, least, most), role};
}

static void say(struct talk *t, struct trace_segment s)
{
    t->parts[t->n++] = s;
    t->tokens += s.tokens;
}

static bool full(const struct talk *t)
{
    return t->n + 4 > MAX_PARTS || t->tokens > MAX_CONTEXT;
}

/* The request that t's parts are; the answer becomes a part of it. */
static void ask(struct gen *g, struct talk *t, uint32_t least, uint32_t most)
{
    struct trace_segment answer = fresh(g, ROLE_ASSISTANT, least, most);

    if (g->rc == 0)
        g->rc = trace_add(g->trace, t->parts, t->n, answer, g->err);
    say(t, answer);
}

static struct talk *open_talk(struct gen *g)
{
    struct talk *t = &g->open[g->n_open++];

    t->n = t->tokens = t->turns = 0;
    return t;
}

static void close_talk(struct gen *g, size_t i)
{
    g->open[i] = g->open[--g->n_open];
}

/* One of the n first shared segments, made when it is first wanted; the first ones more often. */
static struct trace_segment pick_shared(struct gen *g, size_t from, size_t n, enum trace_role role,
                                        uint32_t least, uint32_t most)
{
    size_t i = from + (size_t)((double)n * pow(uniform(g), 2.0));

    if (!g->shared[i].id)
        g->shared[i] = fresh(g, role, least, most);
    return g->shared[i];
}

/* Multi-turn chat: up to 24 conversations at a time over 4 system prompts; now and then the user
 * asks for another answer, or changes the last question. */
static void chat(struct gen *g)
{
    size_t i;
    struct talk *t;

    if (g->n_open == 0 || (g->n_open < 24 && chance(g, 0.2))) {
        t = open_talk(g);
        t->turns = 1 + (uint32_t)(draw(g) % 12);
        say(t, pick_shared(g, 0, 4, ROLE_SYSTEM, 300, 3000));
        i = g->n_open - 1;
    } else {
        i = (size_t)(draw(g) % g->n_open);
        t = &g->open[i];
        if (t->n > 2 && chance(g, 0.08)) {
            t->tokens -= t->parts[--t->n].tokens; /* the answer again */
            if (chance(g, 0.5)) {
                ask(g, t, 100, 1200);
                return;
            }
            t->tokens -= t->parts[--t->n].tokens; /* or another question */
        }
    }
    say(t, fresh(g, ROLE_USER, 20, 800));
    ask(g, t, 100, 1200);
    if (--t->turns == 0 || full(t))
        close_talk(g, i);
}

/* A coding agent: long system prompts with tools, then many steps, each adding a tool's result. */
static void agent(struct gen *g)
{
    size_t i = g->n_open ? (size_t)(draw(g) % g->n_open) : 0;
    struct talk *t;

    if (g->n_open == 0 || (g->n_open < 5 && chance(g, 0.08))) {
        t = open_talk(g);
        i = g->n_open - 1;
        t->turns = 8 + (uint32_t)(draw(g) % 50);
        say(t, pick_shared(g, 8, 3, ROLE_SYSTEM, 5000, 14000));
        say(t, fresh(g, ROLE_USER, 100, 3000));
    } else {
        t = &g->open[i];
        if (chance(g, 0.06))
            say(t, fresh(g, ROLE_USER, 20, 400));
        else
            say(t, fresh(g, ROLE_TOOL, 60, 6000));
    }
    ask(g, t, 40, 600);
    if (--t->turns == 0 || full(t))
        close_talk(g, i);
}

/* Questions on 24 documents, some much more popular; the document is in the system prompt or in
 * the question's message. One question in five goes on from the one before. */
static void documents(struct gen *g)
{
    struct trace_segment doc;
    struct talk *t;

    if (g->n_open && chance(g, 0.2)) {
        t = &g->open[0];
    } else {
        g->n_open = 0;
        t = open_talk(g);
        doc = pick_shared(g, 16, 24, ROLE_SYSTEM, 4000, 40000);
        say(t, (struct trace_segment){1, 60, ROLE_SYSTEM});
        doc.role = doc.id % 2 ? ROLE_SYSTEM : ROLE_USER;
        say(t, doc);
    }
    say(t, fresh(g, ROLE_USER, 15, 150));
    ask(g, t, 60, 600);
    if (full(t))
        g->n_open = 0;
}

/* A job: 6 to 20 sub-agents on one system prompt and one task, each taking 1 to 8 steps in turn. */
static void subagents(struct gen *g)
{
    size_t i;
    struct talk *t;

    if (g->n_open == 0) {
        struct trace_segment system = pick_shared(g, 40, 2, ROLE_SYSTEM, 3000, 9000);
        struct trace_segment task = fresh(g, ROLE_SYSTEM, 1000, 20000);
        uint32_t n = 6 + (uint32_t)(draw(g) % 15);

        while (n-- > 0) {
            t = open_talk(g);
            t->turns = 1 + (uint32_t)(draw(g) % 8);
            say(t, system);
            say(t, task);
            say(t, fresh(g, ROLE_USER, 60, 600));
        }
    }
    i = (size_t)(draw(g) % g->n_open);
    t = &g->open[i];
    ask(g, t, 60, 800);
    if (--t->turns == 0 || full(t))
        close_talk(g, i);
    else
        say(t, fresh(g, ROLE_TOOL, 60, 3000));
}

/* A prompt that nobody sends twice. */
static void noise(struct gen *g)
{
    struct talk *t = open_talk(g);

    say(t, fresh(g, ROLE_USER, 200, 30000));
    ask(g, t, 20, 800);
    g->n_open--;
}

static struct gen *gen_new(struct trace *t, uint64_t seed, struct fg_err *err)
{
    struct gen *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->trace = t;
    g->err = err;
    g->rng = seed;
    g->next_id = seed << 32;
    return g;
}

int trace_generate(struct trace *t, unsigned kind, size_t n, uint64_t seed, struct fg_err *err)
{
    static void (*const one[])(struct gen *) = {chat, agent, documents, subagents, noise};
    struct gen *g[TRACE_KINDS] = {NULL};
    unsigned from = kind == TRACE_KINDS - 1 ? 0 : kind;
    int rc = 0;

    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", trace_kinds[kind]);
    for (unsigned i = from; rc == 0 && i <= kind; i++) {
        g[i] = gen_new(t, seed * TRACE_KINDS + i + 1, err);
        if (!g[i])
            rc = fg_fail(err, FG_ENOMEM, "no memory for the generator");
    }
    while (rc == 0 && t->n < n) {
        /* Of a mix, each kind and noise make a fifth of the requests. */
        unsigned i = from == kind ? kind : (unsigned)(draw(g[kind]) % TRACE_KINDS);

        one[i](g[i]);
        rc = g[i]->rc;
    }
    for (unsigned i = 0; i < TRACE_KINDS; i++)
        free(g[i]);
    return rc;
}
