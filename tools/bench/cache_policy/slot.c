/* The last prompt only: one slot that keeps its tokens' KV and the state at its end, as llama.cpp's
 * server does, and a few context checkpoints, one at the end of each prompt that the slot went on
 * from. Free choice of position counts in its favour: tokens, not blocks. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

enum { CHECKPOINTS = 8 };

struct slot {
    const struct sim_model *m;
    uint64_t budget;
    const struct trace_request *last; /* the trace's */
    uint32_t checkpoints[CHECKPOINTS], n;
};

void *slot_create(const struct sim_policy *p, const struct sim_model *m, uint64_t budget)
{
    struct slot *s = calloc(1, sizeof *s);

    (void)p;
    if (s) {
        s->m = m;
        s->budget = budget;
    }
    return s;
}

void slot_destroy(void *self)
{
    free(self);
}

static void add_checkpoint(struct slot *s, uint32_t at)
{
    if (s->n && s->checkpoints[s->n - 1] == at)
        return;
    if (s->n == CHECKPOINTS)
        memmove(s->checkpoints, s->checkpoints + 1, --s->n * sizeof *s->checkpoints);
    s->checkpoints[s->n++] = at;
}

int slot_serve(void *self, const struct sim_request *q, uint32_t *reused)
{
    struct slot *s = self;
    const struct trace_request *r = q->r;
    uint32_t common = s->last ? trace_common(s->last, r) : 0;
    uint64_t kv = r->n_total * s->m->kv_bytes;

    if (common > r->n_prompt - 1)
        common = r->n_prompt - 1;
    while (s->n && s->checkpoints[s->n - 1] > common)
        s->n--;
    *reused = s->n ? s->checkpoints[s->n - 1] : 0;
    if (s->last && common == s->last->n_total)
        *reused = common;
    add_checkpoint(s, r->n_prompt - 1); /* the last token's logits are wanted */
    s->last = r;
    /* The end's state first, then as many checkpoints as fit, the newest. */
    while (s->n && kv + (1 + (uint64_t)s->n) * s->m->state_bytes > s->budget)
        memmove(s->checkpoints, s->checkpoints + 1, --s->n * sizeof *s->checkpoints);
    if (kv + s->m->state_bytes > s->budget)
        s->last = NULL;
    return 0;
}
