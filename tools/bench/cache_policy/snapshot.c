/* Whole snapshots: KV and state of a prompt in one file, which serves prompts that begin with all
 * of it, as ds4's do. The least recently used file goes first. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct file {
    const struct trace_request *of; /* the trace's */
    uint32_t tokens;
    uint64_t bytes, use;
};

struct snapshots {
    const struct sim_policy *p;
    const struct sim_model *m;
    uint64_t budget, used, clock;
    struct file *files;
    size_t n, cap;
};

void *snapshot_create(const struct sim_policy *p, const struct sim_model *m, uint64_t budget)
{
    struct snapshots *s = calloc(1, sizeof *s);

    if (s) {
        s->p = p;
        s->m = m;
        s->budget = budget;
    }
    return s;
}

void snapshot_destroy(void *self)
{
    struct snapshots *s = self;

    if (!s)
        return;
    free(s->files);
    free(s);
}

static void evict_oldest(struct snapshots *s)
{
    size_t least = 0;

    for (size_t i = 1; i < s->n; i++)
        if (s->files[i].use < s->files[least].use)
            least = i;
    s->used -= s->files[least].bytes;
    s->files[least] = s->files[--s->n];
}

static int keep(struct snapshots *s, const struct trace_request *r, uint32_t tokens)
{
    uint64_t bytes = s->m->state_bytes + tokens * s->m->kv_bytes;

    for (size_t i = 0; i < s->n; i++) {
        struct file *f = &s->files[i];

        if (f->tokens != tokens || trace_common(f->of, r) < tokens)
            continue;
        f->use = ++s->clock;
        return 0;
    }
    if (bytes > s->budget)
        return 0;
    while (s->used + bytes > s->budget)
        evict_oldest(s);
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        struct file *f = realloc(s->files, cap * sizeof *f);

        if (!f)
            return FG_ENOMEM;
        s->files = f;
        s->cap = cap;
    }
    s->files[s->n++] = (struct file){r, tokens, bytes, ++s->clock};
    s->used += bytes;
    return 0;
}

int snapshot_serve(void *self, const struct sim_request *q, uint32_t *reused)
{
    struct snapshots *s = self;
    struct file *best = NULL;

    for (size_t i = 0; i < s->n; i++) {
        struct file *f = &s->files[i];

        if ((best && f->tokens <= best->tokens) || f->tokens >= q->r->n_prompt ||
            trace_common(f->of, q->r) < f->tokens)
            continue;
        best = f;
    }
    *reused = best ? best->tokens : 0;
    if (best)
        best->use = ++s->clock;
    /* A token is left to compute, should the same prompt come again. */
    return keep(s, q->r, s->p->ends ? q->r->n_total : q->r->n_prompt - 1);
}
