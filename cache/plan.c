#include "plan.h"
#include "batch.h"
#include "gone.h"
#include "handle.h"
#include "put_queue.h"
#include "roots.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static void add_victim(struct fg_cache *c, struct fg_batch *b, struct fg_entry *e,
                       enum fg_kind kind, bool drop, bool forced)
{
    struct fg_victim *v = &b->victims[b->n_victims++];

    *v = (struct fg_victim){.e = e, .kind = kind, .bytes = e->bytes[kind]};
    v->drop = drop;
    v->forced = forced;
    e->refs++;
    fg_index_unstore(&c->ix, e, kind);
    if (kind == FG_KIND_BLOCK && e->parent) {
        v->parent = e->parent;
        v->parent->refs++;
        if (!e->flags[kind])
            fg_index_unlink(&c->ix, e);
    }
}

void fg_plan_forget(struct fg_cache *c, struct fg_batch *b, struct fg_entry *e, enum fg_kind kind)
{
    add_victim(c, b, e, kind, false, false);
    b->victims[b->n_victims - 1].forgotten = true;
}

/* Adds victims until `bytes` fit within the target. 0; FG_EFULL: nothing left that may go;
 * FG_EBUSY: the batch holds no more victims. */
static int make_room(struct fg_cache *c, struct fg_batch *b, uint64_t bytes)
{
    while (c->ix.cost + c->writing + c->remains.cost + bytes > c->target) {
        enum fg_kind kind;
        struct fg_entry *e = fg_index_least(&c->ix, &kind);

        if (!e)
            return FG_EFULL;
        if (b->n_victims == FG_BATCH_VICTIMS)
            return FG_EBUSY;
        fg_index_evicted(&c->ix, e, kind);
        add_victim(c, b, e, kind, false, false);
    }
    return 0;
}

void fg_plan_evict(struct fg_cache *c, struct fg_batch *b, uint64_t bytes)
{
    uint64_t from = c->ix.cost;

    while (b->n_victims < FG_BATCH_VICTIMS && from - c->ix.cost < bytes) {
        enum fg_kind kind;
        struct fg_entry *e = fg_index_least(&c->ix, &kind);

        if (!e)
            return;
        fg_index_evicted(&c->ix, e, kind);
        add_victim(c, b, e, kind, false, false);
    }
}

/* The block that a state ends, or that a block continues, is stored or in this batch. */
static bool rooted(struct fg_cache *c, const struct fg_item *it)
{
    struct fg_entry *on = it->e;

    if (it->kind == FG_KIND_DOCUMENT)
        return true;
    if (it->kind == FG_KIND_BLOCK) {
        on = fg_index_find(&c->ix, &it->rec.parent);
        if (on)
            fg_index_link(&c->ix, it->e, on);
        if (it->rec.index == 0)
            return true;
    }
    return on && on->flags[FG_KIND_BLOCK] & (FG_REC_STORED | FG_REC_WRITING);
}

/* A put that comes to nothing counts for nothing of what may be written. */
static void give_back_quota(struct fg_cache *c, const struct fg_item *it)
{
    fg_quota_give(&c->quota, fg_index_cost(&c->ix, it->kind, it->rec.bytes));
}

static void forget_put(struct fg_cache *c, struct fg_item *it, unsigned flag)
{
    fg_index_flag(&c->ix, it->e, it->kind, 0, flag);
    it->e->item[it->kind] = NULL;
    if (it->kind == FG_KIND_BLOCK && !it->e->flags[it->kind])
        fg_index_unlink(&c->ix, it->e);
    fg_index_release(&c->ix, it->e);
    c->queue.bytes -= it->rec.bytes;
    fg_put_queue_free(it);
}

void fg_plan_cancel(struct fg_cache *c, struct fg_item *it)
{
    struct fg_item **at = &c->queue.head;

    while (*at != it)
        at = &(*at)->next;
    *at = it->next;
    if (!it->next)
        c->queue.tail = at;
    give_back_quota(c, it);
    forget_put(c, it, FG_REC_QUEUED);
}

void fg_plan_skip(struct fg_cache *c)
{
    if (c->queue.head && c->queue.head->op == FG_OP_PUT)
        fg_plan_cancel(c, c->queue.head);
}

/* 0: taken, or dropped for good; FG_EBUSY: for the next batch. */
static int plan_put(struct fg_cache *c, struct fg_batch *b, struct fg_item *it)
{
    struct fg_entry *e = it->e;
    uint64_t cost = fg_index_cost(&c->ix, it->kind, it->rec.bytes);
    int rc = FG_ENOTFOUND;

    if (e->flags[it->kind] & FG_REC_STORED)
        goto drop; /* its predecessor could not be deleted, or was right after all */
    if (!rooted(c, it)) {
        fg_count(c, FG_N_ORPHAN, 1);
        goto drop;
    }
    rc = make_room(c, b, cost);
    if (rc == FG_EBUSY)
        return rc;
    if (rc) {
        fg_count(c, FG_N_FULL, 1);
        goto drop;
    }
    fg_index_flag(&c->ix, e, it->kind, FG_REC_WRITING, FG_REC_QUEUED);
    it->rec.use = e->use[it->kind];
    it->rec.uses = e->uses[it->kind];
    it->rec.stamp = ++c->clock; /* never again: the clock is written with the pieces */
    c->writing += cost;
    b->puts[b->n_puts++] = it;
    b->bytes += it->rec.bytes;
    b->cost += cost;
    return 0;
drop:
    give_back_quota(c, it);
    forget_put(c, it, FG_REC_QUEUED);
    return 0;
}

static int plan_drop(struct fg_cache *c, struct fg_batch *b, struct fg_item *it)
{
    struct fg_entry *e;

    if (b->n_victims == FG_BATCH_VICTIMS)
        return FG_EBUSY;
    e = fg_index_get(&c->ix, &it->key);
    /* Stored: put again since. Who insists means what was there before it, and that one too. */
    if (e && (it->forced || !(e->flags[it->kind] & FG_REC_STORED)))
        add_victim(c, b, e, it->kind, true, it->forced);
    else
        c->queue.pending_drops--;
    fg_put_queue_free(it);
    return 0;
}

/* A task has the batch for itself. */
static int plan_task(struct fg_batch *b, struct fg_item *it)
{
    if (b->n_puts || b->n_victims)
        return FG_EBUSY;
    b->task = it;
    return 0;
}

static int plan_item(struct fg_cache *c, struct fg_batch *b, struct fg_item *it)
{
    switch (it->op) {
    case FG_OP_PUT: return plan_put(c, b, it);
    case FG_OP_DROP: return plan_drop(c, b, it);
    case FG_OP_FORGET:
    case FG_OP_COMPACT: return plan_task(b, it);
    case FG_OP_FLUSH: break;
    }
    it->next = b->flushes;
    b->flushes = it;
    return 0;
}

static void take_touches(struct fg_cache *c, struct fg_batch *b)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_touches; i++) {
        struct fg_touch *t = &c->touches[i];
        struct fg_entry *e = fg_index_find(&c->ix, &t->key);

        if (!e)
            continue;
        e->touched[t->kind] = false;
        if (!(e->flags[t->kind] & FG_REC_STORED))
            continue;
        t->use = e->use[t->kind];
        t->uses = e->uses[t->kind];
        c->touches[n++] = *t;
    }
    b->touches = c->touches;
    b->n_touches = n;
    c->touches = NULL;
    c->n_touches = c->touch_cap = 0;
}

void fg_plan(struct fg_cache *c, struct fg_batch *b)
{
    c->ix.now = (uint32_t)fg_clock_seconds(); /* by which holds end */
    b->n_puts = b->n_victims = b->deleted = 0;
    b->bytes = b->cost = 0;
    b->flushes = b->task = NULL;
    b->n_roots = b->unrooted = 0;
    b->written = 0;
    b->lacks = 0;
    b->more = false;
    while (c->queue.head && !b->task) {
        struct fg_item *it = c->queue.head, *next = it->next;

        if (b->n_puts == FG_BATCH_ITEMS || (b->n_puts && b->bytes + it->rec.bytes > c->batch_cap) ||
            plan_item(c, b, it) == FG_EBUSY) {
            b->more = true;
            break;
        }
        c->queue.head = next;
        if (!next)
            c->queue.tail = &c->queue.head;
        if (b->task && c->queue.pending_drops) { /* these records have left the index already */
            fg_put_queue_push(c, b->task);
            b->task = NULL;
        }
    }
    if (b->task && c->queue.head)
        b->more = true;
    /* Only a smaller budget than the last run's leaves something to do here. */
    if (make_room(c, b, 0) == FG_EBUSY)
        b->more = true;
    if (!b->task)
        fg_remains_plan(c, b);
    take_touches(c, b);
    b->clock = c->clock;
    b->quota = c->quota;
}

/* Touches that were not written wait for the next batch, unless newer ones came. */
static void give_back_touches(struct fg_cache *c, struct fg_batch *b)
{
    if (c->touches)
        return;
    c->touches = b->touches;
    c->n_touches = c->touch_cap = b->n_touches;
    for (size_t i = 0; i < b->n_touches; i++) {
        struct fg_entry *e = fg_index_find(&c->ix, &b->touches[i].key);

        if (e)
            e->touched[b->touches[i].kind] = true;
    }
    b->touches = NULL;
}

/* Deleting it could not be written, or not to its end, and it is not to be found again. */
static void keep_remains(struct fg_cache *c, const struct fg_victim *v)
{
    struct fg_remains_row row = {.key = v->e->key, .kind = v->kind, .cost = v->remains};

    if (!row.cost)
        row.cost = v->bytes ? fg_index_cost(&c->ix, v->kind, v->bytes) : c->store.psize;
    fg_remains_add(&c->remains, &row);
}

void fg_plan_settle_chores(struct fg_cache *c, struct fg_batch *b, bool all)
{
    for (size_t i = 0; i < b->n_victims; i++) {
        struct fg_victim *v = &b->victims[i];
        bool ok = all || i < b->deleted;

        if (!ok && (v->remains || v->begun || (v->drop && !v->kept))) {
            keep_remains(c, v);
        } else if ((!ok || v->kept) && v->bytes) {
            fg_index_store(&c->ix, v->e, v->kind, v->bytes);
            if (v->parent)
                fg_index_link(&c->ix, v->e, v->parent);
        } else if (!v->drop && !v->forgotten) {
            fg_count(c, FG_N_EVICTED, 1);
            fg_gone_note(c, v->kind, &v->e->key, FG_GONE_EVICTED);
        }
        if (v->drop)
            c->queue.pending_drops--;
        v->e->refs--;
        fg_index_release(&c->ix, v->e);
        if (v->parent) {
            v->parent->refs--;
            fg_index_release(&c->ix, v->parent);
        }
    }
    b->n_victims = b->deleted = 0;
    if (!all && b->n_touches)
        give_back_touches(c, b);
    free(b->touches);
    b->touches = NULL;
    b->n_touches = 0;
}

void fg_plan_settle_puts(struct fg_cache *c, struct fg_batch *b, bool ok)
{
    for (size_t i = 0; i < b->n_puts; i++) {
        struct fg_item *it = b->puts[i];

        c->writing -= fg_index_cost(&c->ix, it->kind, it->rec.bytes);
        if (ok) {
            fg_remains_remove(&c->remains, it->kind, &it->key);
            if (!it->wrong)
                fg_index_store(&c->ix, it->e, it->kind, it->rec.bytes);
            fg_count(c, FG_N_WRITTEN, it->rec.bytes);
            if (it->kind == FG_KIND_BLOCK && it->rec.index == 0)
                fg_roots_settle(c, &it->rec.parent, true);
        } else {
            give_back_quota(c, it);
        }
        forget_put(c, it, FG_REC_WRITING);
    }
    b->n_puts = 0;
}
