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
    /* Leaf pages are two thirds full on average: (304 + 24 + 2) and (16 + 18) bytes a block. */
    uint64_t small = kind == FG_KIND_BLOCK ? 576 : 160;
    uint64_t pages = (16 + fg_value_bytes(bytes, ix->psize) + ix->psize - 1) / ix->psize;

    return pages * ix->psize + small;
}

static uint64_t heap_use(const struct fg_index *ix, size_t i)
{
    return ix->heap[i].e->use[ix->heap[i].kind];
}

static void heap_place(struct fg_index *ix, size_t i, struct fg_heap_slot s)
{
    ix->heap[i] = s;
    s.e->heap_pos[s.kind] = i;
}

/* Moves slot i to where its clock belongs. */
static void heap_fix(struct fg_index *ix, size_t i)
{
    struct fg_heap_slot s = ix->heap[i];
    uint64_t use = s.e->use[s.kind];

    while (i > 0 && use < heap_use(ix, (i - 1) / 2)) {
        heap_place(ix, i, ix->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < ix->heap_n && heap_use(ix, c + 1) < heap_use(ix, c))
            c++;
        if (c >= ix->heap_n || use <= heap_use(ix, c))
            break;
        heap_place(ix, i, ix->heap[c]);
        i = c;
    }
    heap_place(ix, i, s);
}

static void heap_add(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind)
{
    /* fg_index_get made room for every entry's two records. */
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
    return kind == FG_KIND_STATE || (e->children == 0 && e->flags[FG_KIND_STATE] == 0);
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
    e->heap_pos[FG_KIND_BLOCK] = e->heap_pos[FG_KIND_STATE] = SIZE_MAX;
    b = bucket_of(ix, key);
    e->next = ix->buckets[b];
    ix->buckets[b] = e;
    ix->n_entries++;
    return e;
}

static bool needed(const struct fg_entry *e)
{
    return e->refs || e->children || e->flags[FG_KIND_BLOCK] || e->flags[FG_KIND_STATE];
}

static void free_entry(struct fg_index *ix, struct fg_entry *e)
{
    struct fg_entry **at = &ix->buckets[bucket_of(ix, &e->key)];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    ix->n_entries--;
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

void fg_index_use(struct fg_index *ix, struct fg_entry *e, enum fg_kind kind, uint64_t clock)
{
    e->use[kind] = clock;
    if (e->heap_pos[kind] != SIZE_MAX)
        heap_fix(ix, e->heap_pos[kind]);
}

struct fg_entry *fg_index_oldest(const struct fg_index *ix, enum fg_kind *kind)
{
    if (!ix->heap_n)
        return NULL;
    *kind = ix->heap[0].kind;
    return ix->heap[0].e;
}

void fg_index_reset(struct fg_index *ix)
{
    for (size_t i = 0; i < ix->n_buckets; i++) {
        for (struct fg_entry *e = ix->buckets[i]; e; e = e->next) {
            fg_index_unstore(ix, e, FG_KIND_BLOCK);
            fg_index_unstore(ix, e, FG_KIND_STATE);
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
