#include "put_queue.h"
#include "batch.h"
#include "gone.h"
#include "handle.h"
#include "hold.h"
#include "plan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/blob.h"
#include "base/clock.h"

void fg_put_queue_push(struct fg_cache *c, struct fg_item *it)
{
    it->next = NULL;
    *c->queue.tail = it;
    c->queue.tail = &it->next;
    c->writer.kick = true;
    pthread_cond_signal(&c->writer.work);
}

void fg_put_queue_free(struct fg_item *it)
{
    fg_blob_unref(it->blob);
    free(it);
}

void fg_put_queue_drop(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key, bool forced)
{
    struct fg_item *it = calloc(1, sizeof *it);

    if (!it)
        return;
    it->op = FG_OP_DROP;
    it->kind = kind;
    it->key = *key;
    it->forced = forced;
    c->queue.pending_drops++;
    fg_put_queue_push(c, it);
}

/* mu held */
static void note_corrupt(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key)
{
    fg_count(c, FG_N_CORRUPT, 1);
    fg_gone_note(c, kind, key, FG_GONE_CORRUPT);
}

static void log_corrupt(struct fg_cache *c, enum fg_kind kind)
{
    fg_cache_logf(c, FG_CACHE_LOG_WARN, "event=corrupt_record dir=%s kind=%s action=dropped",
                  c->opt.dir, fg_kind_name(kind));
}

void fg_report_corrupt(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key, bool forced)
{
    struct fg_entry *e;
    bool news;

    pthread_mutex_lock(&c->mu);
    e = fg_index_find(&c->ix, key);
    news = e && e->flags[kind] & FG_REC_STORED;
    if (news) {
        fg_index_unstore(&c->ix, e, kind);
        fg_put_queue_drop(c, kind, key, forced);
        note_corrupt(c, kind, key);
    }
    pthread_mutex_unlock(&c->mu);
    if (news)
        log_corrupt(c, kind);
}

/* mu held. Also where the index has nothing: a drop that is queued, or in the batch, may find that
 * what it means is right. */
static void insist_on_drop(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key)
{
    struct fg_item *it = c->queue.head;

    while (it &&
           !(it->op == FG_OP_DROP && it->kind == kind && memcmp(&it->key, key, sizeof *key) == 0))
        it = it->next;
    if (it)
        it->forced = true;
    else
        fg_put_queue_drop(c, kind, key, true);
}

/* mu held. What e has now is a miss from here on. False: it has nothing. e may be gone then. */
static bool take_out(struct fg_cache *c, struct fg_entry *e, enum fg_kind kind)
{
    struct fg_item *put = e->item[kind];

    if (!put && !(e->flags[kind] & FG_REC_STORED))
        return false;
    fg_index_unstore(&c->ix, e, kind);
    if (put && e->flags[kind] & FG_REC_WRITING) {
        put->wrong = true;
        e->item[kind] = NULL; /* nobody reads it any more */
    } else if (put) {
        fg_plan_cancel(c, put);
    }
    return true;
}

void fg_cache_drop(struct fg_cache *c, const struct fg_key *key, bool is_state)
{
    enum fg_kind kind = is_state ? FG_KIND_STATE : FG_KIND_BLOCK;
    struct fg_entry *e;
    bool news;

    pthread_mutex_lock(&c->mu);
    insist_on_drop(c, kind, key);
    e = fg_index_find(&c->ix, key);
    news = e && take_out(c, e, kind);
    if (news)
        note_corrupt(c, kind, key);
    pthread_mutex_unlock(&c->mu);
    if (news)
        log_corrupt(c, kind);
}

bool fg_put_queue_remove(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key)
{
    struct fg_entry *e;
    bool there;

    pthread_mutex_lock(&c->mu);
    e = fg_index_find(&c->ix, key);
    there = e && (e->item[kind] || e->flags[kind] & FG_REC_STORED);
    if (there) {
        insist_on_drop(c, kind, key);
        take_out(c, e, kind);
    }
    pthread_mutex_unlock(&c->mu);
    return there;
}

static struct fg_entry *deepest(struct fg_entry *e)
{
    while (e->first_child)
        e = e->first_child;
    return e;
}

/* mu held. Drops what hangs below `top`, what continues a block before the block: a kill in between
 * leaves nothing that has lost what it continues. Returns how many records it had. */
static uint64_t drop_children(struct fg_cache *c, struct fg_entry *top)
{
    uint64_t n = 0;
    struct fg_entry *next;

    top->refs++;
    for (struct fg_entry *e = deepest(top); e != top; e = next) {
        bool drops = e->refs > 0; /* a batch that is not written may give it back */

        next = e->next_sibling ? deepest(e->next_sibling) : e->parent;
        next->refs++;
        e->refs++;
        for (enum fg_kind kind = FG_KINDS; kind-- > 0;) {
            bool had = take_out(c, e, kind);

            if (had)
                note_corrupt(c, kind, &e->key);
            n += had;
            drops = drops || had;
            if (drops)
                fg_put_queue_drop(c, kind, &e->key, true);
        }
        e->refs--;
        if (!drops) /* else the writer does */
            fg_index_release(&c->ix, e);
        next->refs--;
    }
    top->refs--;
    fg_index_release(&c->ix, top);
    return n;
}

void fg_cache_drop_below(struct fg_cache *c, const struct fg_key *keys, uint32_t n)
{
    uint64_t dropped = 0;

    pthread_mutex_lock(&c->mu);
    while (n-- > 0) {
        struct fg_entry *e = fg_index_find(&c->ix, &keys[n]);

        if (e)
            dropped += drop_children(c, e);
    }
    pthread_mutex_unlock(&c->mu);
    if (dropped)
        fg_cache_logf(c, FG_CACHE_LOG_WARN, "event=drop_below dir=%s records=%llu action=dropped",
                      c->opt.dir, (unsigned long long)dropped);
}

void fg_report_damage(struct fg_cache *c, const char *what)
{
    if (atomic_exchange(&c->store.damaged, true))
        return;
    fg_cache_logf(c, FG_CACHE_LOG_ERROR, "event=damage dir=%s reason=\"%s\"", c->opt.dir, what);
    pthread_mutex_lock(&c->mu);
    c->writer.kick = true;
    pthread_cond_signal(&c->writer.work);
    pthread_mutex_unlock(&c->mu);
}

/* mu held. Takes a record's cost from what may be written today. */
static bool take_quota(struct fg_cache *c, uint64_t cost)
{
    uint64_t limit = c->opt.write_budget ? c->opt.write_budget : UINT64_MAX;
    bool fits = fg_quota_take(&c->quota, limit, cost, (uint64_t)time(NULL));

    if (fits || c->opt.write_budget == 0) {
        c->quota_out = false;
        return true;
    }
    fg_count(c, FG_N_BUDGET, 1);
    if (!c->quota_out)
        fg_cache_logf(c, FG_CACHE_LOG_WARN,
                      "event=write_budget_used_up dir=%s bytes_a_day=%llu action=\"records dropped "
                      "until less was written within 24 hours\"",
                      c->opt.dir, (unsigned long long)limit);
    c->quota_out = true;
    return false;
}

/* mu held. On success the queue owns `it`. */
static int enqueue(struct fg_cache *c, struct fg_item *it)
{
    struct fg_index *ix = &c->ix;
    struct fg_entry *e, *parent = NULL;
    uint64_t cap, cost = fg_index_cost(ix, it->kind, it->rec.bytes);

    e = fg_index_find(ix, &it->key);
    if (e && e->flags[it->kind])
        return FG_ENOTFOUND; /* nothing to do */
    if (cost > c->target) {
        fg_count(c, FG_N_FULL, 1);
        return FG_EFULL;
    }
    c->queue.largest = it->rec.bytes > c->queue.largest ? it->rec.bytes : c->queue.largest;
    cap = c->queue.cap > 2 * c->queue.largest ? c->queue.cap : 2 * c->queue.largest;
    if (c->queue.bytes + it->rec.bytes > cap) {
        fg_count(c, FG_N_QUEUE, 1);
        return FG_EBUSY;
    }
    if (!take_quota(c, cost))
        return FG_EFULL;
    e = fg_index_get(ix, &it->key);
    if (e && it->kind == FG_KIND_BLOCK) {
        parent = fg_index_get(ix, &it->rec.parent);
        if (!parent) {
            fg_index_release(ix, e);
            e = NULL;
        }
    }
    if (!e) {
        fg_quota_give(&c->quota, cost);
        return FG_ENOMEM;
    }
    fg_index_flag(ix, e, it->kind, FG_REC_QUEUED, 0);
    if (parent)
        fg_index_link(ix, e, parent);
    c->clock += fg_policy_ticks(cost, c->target);
    fg_index_describe(ix, e, it->kind, (enum fg_boundary)it->rec.boundary,
                      (double)it->rec.micros * 1e-6);
    fg_index_use(ix, e, it->kind, c->clock);
    it->e = e;
    e->item[it->kind] = it;
    c->queue.bytes += it->rec.bytes;
    fg_put_queue_push(c, it);
    return 0;
}

int fg_put_queue_put(struct fg_cache *c, struct fg_item *it)
{
    int rc;

    it->op = FG_OP_PUT;
    pthread_mutex_lock(&c->mu);
    rc = enqueue(c, it);
    pthread_mutex_unlock(&c->mu);
    if (rc)
        fg_put_queue_free(it);
    return rc == FG_ENOTFOUND ? 0 : rc;
}

int fg_cache_put(struct fg_cache *c, const struct fg_cache_put *p)
{
    uint64_t bytes = p->blob ? fg_blob_bytes(p->blob) : 0;
    struct fg_item *it;

    if (bytes == 0 || (!p->is_state && !p->parent))
        return FG_EINVAL;
    it = calloc(1, sizeof *it);
    if (!it)
        return FG_ENOMEM;
    it->kind = p->is_state ? FG_KIND_STATE : FG_KIND_BLOCK;
    it->key = *p->key;
    it->blob = fg_blob_ref(p->blob);
    it->rec.bytes = bytes;
    memcpy(it->rec.tokens, p->tokens, sizeof it->rec.tokens);
    if (p->is_state) {
        it->rec.boundary = (uint32_t)p->at;
    } else {
        it->rec.index = p->index;
        it->rec.parent = *p->parent;
        /* Up to 71 minutes; not a number: 0. */
        it->rec.micros = p->seconds > 0 && p->seconds < 4294 ? (uint32_t)(p->seconds * 1e6) : 0;
        if (p->seconds >= 4294)
            it->rec.micros = UINT32_MAX;
    }
    return fg_put_queue_put(c, it);
}

/* mu held. So much may be written today. */
static bool quota_holds(struct fg_cache *c, uint64_t bytes)
{
    if (c->opt.write_budget == 0)
        return true;
    if (!fg_quota_take(&c->quota, c->opt.write_budget, bytes, (uint64_t)time(NULL)))
        return false;
    fg_quota_give(&c->quota, bytes);
    return true;
}

bool fg_cache_admits(struct fg_cache *c, enum fg_boundary at, double seconds, uint64_t bytes)
{
    bool yes;

    pthread_mutex_lock(&c->mu);
    yes = quota_holds(c, bytes) && fg_policy_admits(&c->ix.policy, at, seconds, bytes, c->clock);
    pthread_mutex_unlock(&c->mu);
    return yes;
}

/* mu held */
static bool is_held(struct fg_cache *c, const struct fg_entry *e, enum fg_kind kind)
{
    if (e->item[kind])
        return true;
    return e->flags[kind] & FG_REC_STORED && c->handover.phase != FG_PHASE_AWAY &&
           !atomic_load(&c->store.damaged);
}

void fg_cache_look(struct fg_cache *c, const struct fg_key *keys, size_t n, uint8_t *held)
{
    pthread_mutex_lock(&c->mu);
    for (size_t i = 0; i < n; i++) {
        const struct fg_entry *e = fg_index_find(&c->ix, &keys[i]);

        held[i] = 0;
        if (e && is_held(c, e, FG_KIND_BLOCK))
            held[i] |= FG_HELD_BLOCK;
        if (e && is_held(c, e, FG_KIND_STATE))
            held[i] |= FG_HELD_STATE;
    }
    pthread_mutex_unlock(&c->mu);
}

bool fg_cache_has_block(struct fg_cache *c, const struct fg_key *key)
{
    uint8_t held;

    fg_cache_look(c, key, 1, &held);
    return held & FG_HELD_BLOCK;
}

bool fg_cache_has_state(struct fg_cache *c, const struct fg_key *key)
{
    uint8_t held;

    fg_cache_look(c, key, 1, &held);
    return held & FG_HELD_STATE;
}

static void touch(struct fg_cache *c, struct fg_entry *e, enum fg_kind kind)
{
    if (!e->flags[kind])
        return;
    fg_index_count_use(&c->ix, e, kind);
    fg_index_use(&c->ix, e, kind, ++c->clock);
    if (e->touched[kind])
        return;
    if (c->n_touches == c->touch_cap) {
        size_t cap = c->touch_cap ? 2 * c->touch_cap : 256;
        struct fg_touch *t = realloc(c->touches, cap * sizeof *t);

        if (!t)
            return; /* the order on disk stays a little older */
        c->touches = t;
        c->touch_cap = cap;
    }
    c->touches[c->n_touches++] = (struct fg_touch){.key = e->key, .kind = kind};
    e->touched[kind] = true;
}

void fg_cache_touch(struct fg_cache *c, const struct fg_key *keys, uint32_t n)
{
    pthread_mutex_lock(&c->mu);
    /* The first block last, so that the most shared one is the most recently used. */
    for (uint32_t i = n; i-- > 0;) {
        struct fg_entry *e = fg_index_find(&c->ix, &keys[i]);

        if (!e)
            continue;
        if (i == n - 1)
            touch(c, e, FG_KIND_STATE);
        touch(c, e, FG_KIND_BLOCK);
    }
    if (c->n_touches >= FG_TOUCH_WAKE) {
        c->writer.kick = true;
        pthread_cond_signal(&c->writer.work);
    }
    pthread_mutex_unlock(&c->mu);
}

void fg_cache_hold(struct fg_cache *c, const struct fg_key *key, uint32_t seconds)
{
    pthread_mutex_lock(&c->mu);
    c->ix.now = (uint32_t)fg_clock_seconds();
    fg_hold(&c->ix, key, c->ix.now + seconds);
    pthread_mutex_unlock(&c->mu);
}

void fg_put_queue_touch(struct fg_cache *c, const struct fg_key *key, enum fg_kind kind)
{
    struct fg_entry *e;

    pthread_mutex_lock(&c->mu);
    e = fg_index_find(&c->ix, key);
    if (e)
        touch(c, e, kind);
    pthread_mutex_unlock(&c->mu);
}

void fg_put_queue_wait(struct fg_cache *c, struct fg_item *it)
{
    pthread_mutex_lock(&c->mu);
    fg_put_queue_push(c, it);
    while (!it->done)
        pthread_cond_wait(&c->writer.done, &c->mu);
    pthread_mutex_unlock(&c->mu);
}

void fg_cache_flush(struct fg_cache *c)
{
    struct fg_item it = {.op = FG_OP_FLUSH};

    fg_put_queue_wait(c, &it);
}
