/* Shared blocks and states in the index that the store itself uses (cache/index.c), so that what
 * goes first is decided by the same code. */
#include "sim.h"

#include <stdlib.h>

#include "cache/index.h"

enum { MAX_MARKS = 8 };

struct mark {
    uint32_t blocks; /* the state behind so many */
    enum fg_boundary kind;
};

struct tree {
    const struct sim_policy *p;
    const struct sim_model *m;
    uint64_t budget, clock;
    struct fg_index ix;
};

/* A request on its way. */
struct visit {
    const struct sim_request *q;
    uint32_t prompt_blocks, all_blocks;
    struct mark marks[MAX_MARKS];
    uint32_t n_marks;
    uint32_t last_state; /* blocks before the last state on the way */
};

void *tree_create(const struct sim_policy *p, const struct sim_model *m, uint64_t budget)
{
    struct tree *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->p = p;
    t->m = m;
    t->budget = budget;
    if (fg_index_init(&t->ix) == 0) {
        t->ix.by_use = !p->valued;
        return t;
    }
    free(t);
    return NULL;
}

void tree_destroy(void *self)
{
    struct tree *t = self;

    if (!t)
        return;
    fg_index_finish(&t->ix);
    free(t);
}

static uint64_t tick(struct tree *t, uint64_t bytes)
{
    return t->clock += fg_policy_ticks(bytes, t->budget);
}

static bool stored(const struct fg_entry *e, enum fg_kind kind)
{
    return e && e->flags[kind] & FG_REC_STORED;
}

/* Evicts until `bytes` fit. False: there is nothing left that may go. */
static bool make_room(struct tree *t, uint64_t bytes)
{
    while (t->ix.cost + bytes > t->budget) {
        enum fg_kind kind;
        struct fg_entry *e = fg_index_least(&t->ix, &kind);

        if (!e)
            return false;
        if (t->p->valued)
            fg_index_evicted(&t->ix, e, kind);
        fg_index_unstore(&t->ix, e, kind);
        if (kind == FG_KIND_BLOCK)
            fg_index_unlink(&t->ix, e);
        fg_index_release(&t->ix, e);
    }
    return true;
}

static void use(struct tree *t, struct fg_entry *e, enum fg_kind kind)
{
    fg_index_count_use(&t->ix, e, kind);
    fg_index_use(&t->ix, e, kind, tick(t, 0));
}

/* The store's order: the first block counts as the latest. */
static void touch(struct tree *t, const struct fg_key *keys, uint32_t n)
{
    for (uint32_t i = n; i-- > 0;) {
        struct fg_entry *e = fg_index_find(&t->ix, &keys[i]);

        if (i == n - 1 && stored(e, FG_KIND_STATE))
            use(t, e, FG_KIND_STATE);
        if (stored(e, FG_KIND_BLOCK))
            use(t, e, FG_KIND_BLOCK);
    }
}

/* Puts block b unless it is there. False: it is not, as there is no room or no parent. */
static int put_block(struct tree *t, const struct visit *v, uint32_t b, bool *ok)
{
    const struct fg_key *keys = v->q->keys;
    struct fg_entry *e = fg_index_find(&t->ix, &keys[b]);
    struct fg_entry *parent = b ? fg_index_find(&t->ix, &keys[b - 1]) : NULL;
    uint64_t bytes = t->m->kv_bytes * FG_BLOCK_TOKENS;

    *ok = true;
    if (stored(e, FG_KIND_BLOCK))
        return 0;
    *ok = b == 0 || stored(parent, FG_KIND_BLOCK);
    if (!*ok)
        return 0;
    e = fg_index_get(&t->ix, &keys[b]);
    if (!e)
        return FG_ENOMEM;
    fg_index_flag(&t->ix, e, FG_KIND_BLOCK, FG_REC_QUEUED, 0);
    if (parent)
        fg_index_link(&t->ix, e, parent);
    *ok = make_room(t, fg_index_cost(&t->ix, FG_KIND_BLOCK, bytes));
    if (*ok) {
        fg_index_describe(&t->ix, e, FG_KIND_BLOCK, FG_AT_BLOCK,
                          sim_seconds(t->m, b * FG_BLOCK_TOKENS, (b + 1) * FG_BLOCK_TOKENS));
        fg_index_use(&t->ix, e, FG_KIND_BLOCK, tick(t, bytes));
        fg_index_store(&t->ix, e, FG_KIND_BLOCK, bytes);
    }
    fg_index_flag(&t->ix, e, FG_KIND_BLOCK, 0, FG_REC_QUEUED);
    if (!*ok) {
        fg_index_unlink(&t->ix, e);
        fg_index_release(&t->ix, e);
    }
    return 0;
}

/* Puts the state behind block n-1, which is stored. */
static void put_state(struct tree *t, const struct visit *v, uint32_t n, enum fg_boundary kind)
{
    struct fg_entry *e = fg_index_find(&t->ix, &v->q->keys[n - 1]);
    uint64_t bytes = t->m->state_bytes;

    if (stored(e, FG_KIND_STATE))
        return;
    fg_index_flag(&t->ix, e, FG_KIND_STATE, FG_REC_QUEUED, 0);
    if (make_room(t, fg_index_cost(&t->ix, FG_KIND_STATE, bytes))) {
        fg_index_describe(&t->ix, e, FG_KIND_STATE, kind, 0);
        fg_index_use(&t->ix, e, FG_KIND_STATE, tick(t, bytes));
        fg_index_store(&t->ix, e, FG_KIND_STATE, bytes);
    }
    fg_index_flag(&t->ix, e, FG_KIND_STATE, 0, FG_REC_QUEUED);
}

static void add_mark(struct visit *v, uint32_t tokens, enum fg_boundary kind)
{
    if (tokens >= FG_BLOCK_TOKENS)
        v->marks[v->n_marks++] = (struct mark){tokens / FG_BLOCK_TOKENS, kind};
}

/* The boundary behind n blocks, if one is there. */
static enum fg_boundary boundary_at(const struct tree *t, const struct visit *v, uint32_t n)
{
    uint32_t spacing = t->p->valued ? FG_POLICY_MIN_SPACING : t->p->spacing;

    for (uint32_t i = 0; i < v->n_marks; i++)
        if (v->marks[i].blocks == n)
            return v->marks[i].kind;
    if (t->p->valued)
        return (n - v->last_state) * FG_BLOCK_TOKENS >= spacing ? FG_AT_SPACING : FG_AT_BLOCK;
    return spacing && n * FG_BLOCK_TOKENS % spacing == 0 ? FG_AT_SPACING : FG_AT_BLOCK;
}

static bool wanted(const struct tree *t, const struct visit *v, uint32_t n, enum fg_boundary kind)
{
    uint32_t since = n - v->last_state;
    uint64_t bytes = t->m->state_bytes;

    if (kind == FG_AT_BLOCK)
        return false;
    if (!t->p->valued)
        return true;
    if (kind == FG_AT_PROMPT_END || kind == FG_AT_ANSWER_END)
        bytes += since * t->m->kv_bytes * FG_BLOCK_TOKENS;
    return fg_policy_admits(&t->ix.policy, kind,
                            sim_seconds(t->m, v->last_state * FG_BLOCK_TOKENS, n * FG_BLOCK_TOKENS),
                            bytes, t->clock);
}

static int keep(struct tree *t, struct visit *v)
{
    for (uint32_t b = 0; b < v->all_blocks; b++) {
        enum fg_boundary kind;
        bool ok;
        int rc = put_block(t, v, b, &ok);

        if (rc || !ok)
            return rc;
        if (stored(fg_index_find(&t->ix, &v->q->keys[b]), FG_KIND_STATE)) {
            v->last_state = b + 1;
            continue;
        }
        /* A state behind what was restored is there when these tokens are computed. */
        kind = boundary_at(t, v, b + 1);
        if (b + 1 <= v->last_state || !wanted(t, v, b + 1, kind))
            continue;
        put_state(t, v, b + 1, kind);
        v->last_state = b + 1;
    }
    return 0;
}

int tree_serve(void *self, const struct sim_request *q, uint32_t *reused)
{
    struct tree *t = self;
    const struct trace_request *r = q->r;
    struct visit v = {.q = q,
                      .prompt_blocks = r->n_prompt / FG_BLOCK_TOKENS,
                      .all_blocks = r->n_total / FG_BLOCK_TOKENS};
    uint32_t most = (r->n_prompt - 1) / FG_BLOCK_TOKENS, found = 0, n;

    while (found < most && stored(fg_index_find(&t->ix, &q->keys[found]), FG_KIND_BLOCK))
        found++;
    for (n = found; n > 0; n--)
        if (stored(fg_index_find(&t->ix, &q->keys[n - 1]), FG_KIND_STATE))
            break;
    touch(t, q->keys, n);
    v.last_state = n;
    *reused = n * FG_BLOCK_TOKENS;
    if (t->p->ends) {
        if (found > n)
            add_mark(&v, found * FG_BLOCK_TOKENS, FG_AT_BRANCH);
        if (t->p->valued) {
            add_mark(&v, r->system_end, FG_AT_SYSTEM_END);
            add_mark(&v, r->user_start, FG_AT_USER_START);
        }
        add_mark(&v, r->n_prompt - 1, FG_AT_PROMPT_END); /* should the same prompt come again */
        add_mark(&v, r->n_total, FG_AT_ANSWER_END);
    }
    return keep(t, &v);
}
