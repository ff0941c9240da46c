#include "remains.h"
#include "batch.h"
#include "handle.h"
#include "plan.h"

#include <stdlib.h>
#include <string.h>

void fg_remains_finish(struct fg_remains *r)
{
    free(r->rows);
    *r = (struct fg_remains){0};
}

/* Its number, or n. */
static size_t find(const struct fg_remains *r, enum fg_kind kind, const struct fg_key *key)
{
    size_t i = 0;

    while (i < r->n && (r->rows[i].kind != kind || memcmp(&r->rows[i].key, key, sizeof *key) != 0))
        i++;
    return i;
}

void fg_remains_add(struct fg_remains *r, const struct fg_remains_row *row)
{
    fg_remains_remove(r, row->kind, &row->key);
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 16;
        struct fg_remains_row *bigger = realloc(r->rows, cap * sizeof *bigger);

        if (!bigger)
            return;
        r->rows = bigger;
        r->cap = cap;
    }
    r->rows[r->n++] = *row;
    r->cost += row->cost;
}

bool fg_remains_have(const struct fg_remains *r, enum fg_kind kind, const struct fg_key *key)
{
    return find(r, kind, key) < r->n;
}

void fg_remains_remove(struct fg_remains *r, enum fg_kind kind, const struct fg_key *key)
{
    size_t i = find(r, kind, key);

    if (i == r->n)
        return;
    r->cost -= r->rows[i].cost;
    r->rows[i] = r->rows[--r->n];
}

void fg_remains_plan(struct fg_cache *c, struct fg_batch *b)
{
    struct fg_remains *r = &c->remains;

    for (size_t i = 0; i < r->n && b->n_victims < FG_BATCH_VICTIMS;) {
        struct fg_remains_row row = r->rows[i];
        struct fg_entry *e = fg_index_get(&c->ix, &row.key);
        struct fg_victim *v;

        if (!e || e->flags[row.kind] & FG_REC_WRITING) {
            i++; /* a put deletes what is there */
            continue;
        }
        fg_plan_forget(c, b, e, row.kind);
        v = &b->victims[b->n_victims - 1];
        v->bytes = 0;
        v->remains = row.cost;
        fg_remains_remove(r, row.kind, &row.key);
    }
}
