#include "hold.h"
#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "fulgur/error.h"

enum { FIRST_BUCKETS = 1024, FIRST_HEAP = 256 };

/* Keys are hashes already. */
static size_t bucket_of(const struct fg_index *ix, const struct fg_key *key)
{
    return (size_t)fg_load_u64(key->b) & (ix->n_buckets - 1);
}

int fg_index_init(struct fg_index *ix)
{
    memset(ix, 0, sizeof *ix);
    ix->psize = 4096;
    fg_policy_init(&ix->policy);
    ix->n_buckets = FIRST_BUCKETS;
    ix->heap_cap = FIRST_HEAP;
    ix->buckets = calloc(ix->n_buckets, sizeof *ix->buckets);
    ix->heap = malloc(ix->heap_cap * sizeof *ix->heap);
    if (ix->buckets && ix->heap)
        return 0;
    fg_index_finish(ix);
    return FG_ENOMEM;
}

void fg_index_finish(struct fg_index *ix)
{
    for (size_t i = 0; ix->buckets && i < ix->n_buckets; i++) {
        while (ix->buckets[i]) {
            struct fg_entry *e = ix->buckets[i];

            ix->buckets[i] = e->next;
            free(e);
        }
    }
    free(ix->buckets);
    free(ix->heap);
    memset(ix, 0, sizeof *ix);
}

uint64_t fg_index_cost(const struct fg_index *ix, enum fg_kind kind, uint64_t bytes)
{
    /* Leaf pages are two thirds full on average: 320 + 26 bytes a record, 38 + 8 a piece. */
    enum { RECORD = 520, PIECE = 72 };
    uint64_t pieces = fg_record_pieces(bytes), last = bytes - (pieces - 1) * FG_RECORD_PIECE;
    uint64_t pages = (pieces - 1) * ((4u << 20) / ix->psize);

    (void)kind;
    pages += (16 + fg_value_bytes(last, ix->psize) + ix->psize - 1) / ix->psize;
    return pages * ix->psize + RECORD + pieces * PIECE;
}

static bool has_state(const struct fg_entry *e)
{
    return e->flags[FG_KIND_STATE] != 0;
}

/* What goes with a state: the way back to the state before it is computed again, and the blocks on
 * it that nothing else continues are of no use any more. */
static double state_value(const struct fg_index *ix, const struct fg_entry *e)
{
    double seconds = 0;
    uint64_t bytes = fg_index_cost(ix, FG_KIND_STATE, e->bytes[FG_KIND_STATE]);
    bool alone = e->children == 0;

    for (const struct fg_entry *at = e;
         at && at->flags[FG_KIND_BLOCK] && (at == e || !has_state(at)); at = at->parent) {
        alone = alone && (at == e || at->children == 1);
        seconds += (double)at->seconds;
        if (alone)
            bytes += fg_index_cost(ix, FG_KIND_BLOCK, at->bytes[FG_KIND_BLOCK]);
    }
    return fg_policy_value(&ix->policy, e->boundary, e->uses[FG_KIND_STATE], seconds, bytes,
                           ix->clock - e->use[FG_KIND_STATE]);
}

static double value_of(const struct fg_index *ix, const struct fg_entry *e, enum fg_kind kind)
{
    if (ix->by_use)
        return 0;
    if (kind == FG_KIND_STATE)
        return state_value(ix, e);
    if (kind == FG_KIND_DOCUMENT)
        return fg_policy_value(&ix->policy, FG_AT_DOCUMENT, e->uses[kind], FG_DOCUMENT_SECONDS,
                               fg_index_cost(ix, kind, e->bytes[kind]), ix->clock - e->use[kind]);
    if (e->bare)
        return FG_POLICY_NOTHING;
    return fg_policy_value(&ix->policy, FG_AT_BLOCK, e->uses[kind], (double)e->seconds,
                           fg_index_cost(ix, kind, e->bytes[kind]), ix->clock - e->use[kind]);
}

/* The heap's order: what is held goes last. */
static double order_of(const struct fg_index *ix, const struct fg_entry *e, enum fg_kind kind)
{
    return value_of(ix, e, kind) + (fg_held(ix, e) ? FG_HOLD_RAISE : 0);
}

/* Among equals the least recently used goes first. */
static bool before(const struct fg_heap_slot *a, const struct fg_heap_slot *b)
{
    double x = a->e->value[a->kind], y = b->e->value[b->kind];

    return x < y || (x == y && a->e->use[a->kind] < b->e->use[b->kind]);
}

static void heap_place(struct fg_index *ix, size_t i, struct fg_heap_slot s)
{
    ix->heap[i] = s;
    s.e->heap_pos[s.kind] = i;
}

static void heap_down(struct fg_index *ix, size_t i)
{
    struct fg_heap_slot s = ix->heap[i];

    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < ix->heap_n && before(&ix->heap[c + 1], &ix->heap[c]))
            c++;
        if (c >= ix->heap_n || !before(&ix->heap[c], &s))
            break;
        heap_place(ix, i, ix->heap[c]);
        i = c;
    }
    heap_place(ix, i, s);
}

/* Moves slot i to where its value belongs. */
static void heap_fix(struct fg_index *ix, size_t i)
{
    struct fg_heap_slot s = ix->heap[i];

    while (i > 0 && before(&s, &ix->heap[(i - 1) / 2])) {
        heap_place(ix, i, ix->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(ix, i, s);
    heap_down(ix, i);
}

static void heap_add(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind)
{
    /* fg_index_get made room for every entry's records. */
    e->value[kind] = order_of(ix, e, kind);
    heap_place(ix, ix->heap_n, (struct fg_heap_slot){e, kind});
    ix->heap_n++;
    heap_fix(ix, ix->heap_n - 1);
}

static void heap_remove(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind)
{
    size_t i = e->heap_pos[kind];

    e->heap_pos[kind] = SIZE_MAX;
    ix->heap_n--;
    if (i < ix->heap_n) {
        heap_place(ix, i, ix->heap[ix->heap_n]);
        heap_fix(ix, i);
    }
}

static bool may_go(const struct fg_entry *e, enum fg_kind kind)
{
    if (e->flags[kind] != FG_REC_STORED)
        return false;
    return kind != FG_KIND_BLOCK || (e->children == 0 && e->flags[FG_KIND_STATE] == 0);
}

static void update(struct fg_index *ix, struct fg_entry *e)
{
    for (enum fg_kind k = 0; k < FG_KINDS; k++) {
        bool in = e->heap_pos[k] != SIZE_MAX;

        if (may_go(e, k) && !in)
            heap_add(ix, e, k);
        else if (!may_go(e, k) && in)
            heap_remove(ix, e, k);
    }
}

struct fg_entry *fg_index_find(const struct fg_index *ix, const struct fg_key *key)
{
    struct fg_entry *e = ix->buckets[bucket_of(ix, key)];

    while (e && memcmp(&e->key, key, sizeof *key) != 0)
        e = e->next;
    return e;
}

static void grow_buckets(struct fg_index *ix)
{
    size_t old_n = ix->n_buckets;
    struct fg_entry **old = ix->buckets, **bigger = calloc(2 * old_n, sizeof *bigger);

    if (!bigger)
        return; /* longer chains, nothing worse */
    ix->buckets = bigger;
    ix->n_buckets = 2 * old_n;
    for (size_t i = 0; i < old_n; i++) {
        while (old[i]) {
            struct fg_entry *e = old[i];
            size_t b = bucket_of(ix, &e->key);

            old[i] = e->next;
            e->next = bigger[b];
            bigger[b] = e;
        }
    }
    free(old);
}

struct fg_entry *fg_index_get(struct fg_index *ix, const struct fg_key *key)
{
    struct fg_entry *e = fg_index_find(ix, key);
    size_t b;

    if (e)
        return e;
    if (ix->n_entries >= ix->n_buckets)
        grow_buckets(ix);
    if (FG_KINDS * (ix->n_entries + 1) > ix->heap_cap) {
        struct fg_heap_slot *h = realloc(ix->heap, 2 * ix->heap_cap * sizeof *h);

        if (!h)
            return NULL;
        ix->heap = h;
        ix->heap_cap *= 2;
    }
    e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->key = *key;
    for (enum fg_kind k = 0; k < FG_KINDS; k++)
        e->heap_pos[k] = SIZE_MAX;
    b = bucket_of(ix, key);
    e->next = ix->buckets[b];
    ix->buckets[b] = e;
    ix->n_entries++;
    fg_hold_begin(ix, e);
    return e;
}

static bool needed(const struct fg_entry *e)
{
    return e->refs || e->children || e->flags[FG_KIND_BLOCK] || e->flags[FG_KIND_STATE] ||
           e->flags[FG_KIND_DOCUMENT];
}

static void free_entry(struct fg_index *ix, struct fg_entry *e)
{
    struct fg_entry **at = &ix->buckets[bucket_of(ix, &e->key)];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    ix->n_entries--;
    fg_hold_end(ix, e);
    free(e);
}

/* Takes `e` from its parent, which it has. */
static void detach(struct fg_index *ix, struct fg_entry *e)
{
    struct fg_entry *parent = e->parent;

    if (e->prev_sibling)
        e->prev_sibling->next_sibling = e->next_sibling;
    else
        parent->first_child = e->next_sibling;
    if (e->next_sibling)
        e->next_sibling->prev_sibling = e->prev_sibling;
    e->parent = e->prev_sibling = e->next_sibling = NULL;
    parent->children--;
    update(ix, parent);
}

void fg_index_release(struct fg_index *ix, struct fg_entry *e)
{
    while (e && !needed(e)) {
        struct fg_entry *parent = e->parent;

        if (parent)
            detach(ix, e);
        free_entry(ix, e);
        e = parent;
    }
}

void fg_index_link(struct fg_index *ix, struct fg_entry *e, struct fg_entry *parent)
{
    if (e->parent || e == parent)
        return;
    e->parent = parent;
    e->next_sibling = parent->first_child;
    if (parent->first_child)
        parent->first_child->prev_sibling = e;
    parent->first_child = e;
    parent->children++;
    update(ix, parent);
}

void fg_index_unlink(struct fg_index *ix, struct fg_entry *e)
{
    struct fg_entry *parent = e->parent;

    if (!parent)
        return;
    detach(ix, e);
    fg_index_release(ix, parent);
}

void fg_index_store(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind, uint64_t bytes)
{
    fg_index_unstore(ix, e, kind);
    e->bytes[kind] = bytes;
    e->flags[kind] |= FG_REC_STORED;
    ix->n[kind]++;
    ix->bytes[kind] += bytes;
    ix->cost += fg_index_cost(ix, kind, bytes);
    if (e->hold_until)
        fg_hold_count(ix, e);
    update(ix, e);
}

void fg_index_unstore(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind)
{
    if (!(e->flags[kind] & FG_REC_STORED))
        return;
    e->flags[kind] &= (uint8_t)~FG_REC_STORED;
    ix->n[kind]--;
    ix->bytes[kind] -= e->bytes[kind];
    ix->cost -= fg_index_cost(ix, kind, e->bytes[kind]);
    update(ix, e);
}

void fg_index_flag(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind, unsigned set,
                   unsigned clear)
{
    e->flags[kind] = (uint8_t)((e->flags[kind] & ~clear) | set);
    update(ix, e);
}

static enum fg_boundary boundary_of(const struct fg_entry *e, enum fg_kind kind)
{
    switch (kind) {
    case FG_KIND_STATE: return (enum fg_boundary)e->boundary;
    case FG_KIND_DOCUMENT: return FG_AT_DOCUMENT;
    default: return FG_AT_BLOCK;
    }
}

static void renew(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind)
{
    if (e->heap_pos[kind] == SIZE_MAX)
        return;
    e->value[kind] = order_of(ix, e, kind);
    heap_fix(ix, e->heap_pos[kind]);
}

void fg_index_renew(struct fg_index *ix, struct fg_entry *e)
{
    for (enum fg_kind k = 0; k < FG_KINDS; k++)
        renew(ix, e, k);
}

void fg_index_describe(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind,
                       enum fg_boundary at, double seconds)
{
    if (kind == FG_KIND_BLOCK)
        e->seconds = (float)seconds;
    else if (kind == FG_KIND_STATE)
        e->boundary = (uint8_t)at;
    e->uses[kind] = 0;
    fg_policy_put(&ix->policy, boundary_of(e, kind));
    renew(ix, e, kind);
}

void fg_index_recall(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind,
                     const struct fg_record *r)
{
    if (kind == FG_KIND_BLOCK)
        e->seconds = (float)r->micros * 1e-6f;
    else if (kind == FG_KIND_STATE)
        e->boundary = r->boundary < FG_BOUNDARIES ? (uint8_t)r->boundary : FG_AT_SPACING;
    e->uses[kind] = r->uses < UINT8_MAX ? (uint8_t)r->uses : UINT8_MAX;
    fg_policy_recall(&ix->policy, boundary_of(e, kind), e->uses[kind]);
    fg_index_use(ix, e, kind, r->use);
}

void fg_index_count_use(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind)
{
    fg_policy_use(&ix->policy, boundary_of(e, kind), e->uses[kind], ix->clock - e->use[kind]);
    if (e->uses[kind] < UINT8_MAX)
        e->uses[kind]++;
    renew(ix, e, kind);
}

void fg_index_use(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind, uint64_t clock)
{
    e->use[kind] = clock;
    if (ix->clock < clock)
        ix->clock = clock;
    if (kind == FG_KIND_BLOCK)
        e->bare = false;
    renew(ix, e, kind);
}

/* Values fall at different rates as time passes: in order again often enough, seldom enough. So do
 * holds. */
static bool out_of_order(const struct fg_index *ix)
{
    enum { HOLDS_S = 15 };

    if (ix->held_pages && ix->now - ix->ordered_at >= HOLDS_S)
        return true;
    return !ix->by_use &&
           (ix->epoch != ix->policy.epoch || ix->clock - ix->ordered > FG_POLICY_TURN / 64);
}

static void renew_all(struct fg_index *ix)
{
    for (size_t i = 0; i < ix->heap_n; i++)
        ix->heap[i].e->value[ix->heap[i].kind] = order_of(ix, ix->heap[i].e, ix->heap[i].kind);
    for (size_t i = ix->heap_n / 2; i-- > 0;)
        heap_down(ix, i);
    ix->epoch = ix->policy.epoch;
    ix->ordered = ix->clock;
    ix->ordered_at = ix->now;
}

struct fg_entry *fg_index_least(struct fg_index *ix, enum fg_kind *kind)
{
    if (out_of_order(ix))
        renew_all(ix);
    /* A state is worth more since the one before it went: known when its turn comes. */
    while (ix->heap_n) {
        struct fg_entry *e = ix->heap[0].e;
        double value;

        *kind = ix->heap[0].kind;
        value = order_of(ix, e, *kind);
        if (value <= e->value[*kind])
            return e;
        e->value[*kind] = value;
        heap_down(ix, 0);
    }
    return NULL;
}

void fg_index_evicted(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind)
{
    struct fg_entry *on = kind == FG_KIND_STATE ? e : e->parent;
    double value = e->value[kind];

    /* What bytes cost is told by what they serve, not by who asked for them. */
    fg_policy_evicted(&ix->policy, value > FG_HOLD_RAISE / 2 ? value - FG_HOLD_RAISE : value,
                      ix->clock);
    fg_hold_end(ix, e);
    if (on && (kind == FG_KIND_STATE || e->bare) && !(kind == FG_KIND_BLOCK && has_state(on)))
        on->bare = true;
}

void fg_index_reset(struct fg_index *ix)
{
    for (size_t i = 0; i < ix->n_buckets; i++) {
        for (struct fg_entry *e = ix->buckets[i]; e; e = e->next) {
            for (enum fg_kind k = 0; k < FG_KINDS; k++)
                fg_index_unstore(ix, e, k);
            if (e->parent && !e->flags[FG_KIND_BLOCK])
                detach(ix, e);
        }
    }
    for (size_t i = 0; i < ix->n_buckets; i++) {
        struct fg_entry *next;

        for (struct fg_entry *e = ix->buckets[i]; e; e = next) {
            next = e->next;
            if (!needed(e))
                free_entry(ix, e);
        }
    }
}
