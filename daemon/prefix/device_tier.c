#include "device_tier.h"

#include <stdlib.h>
#include <string.h>

enum { PAGELESS_BLOCKS = 16384 }; /* entries for a model without pages: 5 MiB on the host */

struct entry {
    struct fg_key key, parent;
    int32_t tokens[FG_BLOCK_TOKENS];
    uint32_t page;
    uint32_t users;
    uint32_t chain;        /* next in the bucket, or on the free list */
    uint32_t newer, older; /* the order of use */
};

struct slot {
    struct fg_key key;
    uint32_t block;
    uint64_t used;
    bool known;
    uint32_t pins;
    bool read; /* by a transfer */
};

struct fg_device_tier {
    struct fg_engine *engine;
    bool has_pages;
    struct entry *entries; /* [cap] */
    uint32_t cap, free_list;
    uint32_t *buckets; /* [n_buckets], a power of two */
    uint32_t n_buckets;
    uint32_t newest, oldest;
    uint32_t n_evictable;
    struct slot *slots; /* [n_slots] */
    uint32_t n_slots;
    uint64_t clock;
};

static uint32_t bucket_of(const struct fg_device_tier *v, const struct fg_key *key)
{
    uint32_t h;

    memcpy(&h, key->b, sizeof h); /* the key is a hash already */
    return h & (v->n_buckets - 1);
}

int fg_device_tier_create(struct fg_engine *e, struct fg_device_tier **out, struct fg_err *err)
{
    struct fg_engine_info info;
    struct fg_device_tier *v = calloc(1, sizeof *v);

    *out = NULL;
    if (!v)
        return fg_fail(err, FG_ENOMEM, "no memory for the index of pages");
    fg_engine_info(e, &info);
    v->engine = e;
    v->has_pages = info.page_bytes > 0;
    v->cap = v->has_pages ? info.n_pages : PAGELESS_BLOCKS;
    v->n_slots = info.state_bytes ? info.n_states : 0;
    for (v->n_buckets = 16; v->n_buckets < v->cap; v->n_buckets *= 2)
        ;
    v->entries = calloc(v->cap ? v->cap : 1, sizeof *v->entries);
    v->buckets = malloc(v->n_buckets * sizeof *v->buckets);
    v->slots = calloc(v->n_slots ? v->n_slots : 1, sizeof *v->slots);
    if (!v->entries || !v->buckets || !v->slots) {
        v->oldest = FG_TIER_NONE;
        fg_device_tier_destroy(v);
        return fg_fail(err, FG_ENOMEM, "no memory for the index of %u pages", v->cap);
    }
    memset(v->buckets, 0xff, v->n_buckets * sizeof *v->buckets);
    for (uint32_t i = 0; i < v->cap; i++)
        v->entries[i].chain = i + 1 < v->cap ? i + 1 : FG_TIER_NONE;
    v->free_list = v->cap ? 0 : FG_TIER_NONE;
    v->newest = v->oldest = FG_TIER_NONE;
    *out = v;
    return 0;
}

void fg_device_tier_destroy(struct fg_device_tier *v)
{
    if (!v)
        return;
    if (v->has_pages)
        for (uint32_t i = v->oldest; i != FG_TIER_NONE; i = v->entries[i].newer)
            fg_page_unref(v->engine, v->entries[i].page);
    free(v->entries);
    free(v->buckets);
    free(v->slots);
    free(v);
}

static uint32_t find(const struct fg_device_tier *v, const struct fg_key *key)
{
    uint32_t i = v->buckets[bucket_of(v, key)];

    while (i != FG_TIER_NONE && memcmp(&v->entries[i].key, key, sizeof *key) != 0)
        i = v->entries[i].chain;
    return i;
}

static void unlink_use(struct fg_device_tier *v, uint32_t i)
{
    struct entry *e = &v->entries[i];

    if (e->newer != FG_TIER_NONE)
        v->entries[e->newer].older = e->older;
    else
        v->newest = e->older;
    if (e->older != FG_TIER_NONE)
        v->entries[e->older].newer = e->newer;
    else
        v->oldest = e->newer;
}

static void link_newest(struct fg_device_tier *v, uint32_t i)
{
    struct entry *e = &v->entries[i];

    e->newer = FG_TIER_NONE;
    e->older = v->newest;
    if (v->newest != FG_TIER_NONE)
        v->entries[v->newest].newer = i;
    else
        v->oldest = i;
    v->newest = i;
}

bool fg_device_tier_find(const struct fg_device_tier *v, const struct fg_key *key,
                         const int32_t *tokens, uint32_t *page)
{
    uint32_t i = find(v, key);

    if (i == FG_TIER_NONE || memcmp(v->entries[i].tokens, tokens, sizeof v->entries[i].tokens) != 0)
        return false;
    if (page)
        *page = v->entries[i].page;
    return true;
}

void fg_device_tier_touch(struct fg_device_tier *v, const struct fg_key *keys, uint32_t n)
{
    while (n-- > 0) {
        uint32_t i = find(v, &keys[n]);

        if (i == FG_TIER_NONE)
            continue;
        unlink_use(v, i);
        link_newest(v, i);
    }
}

void fg_device_tier_use(struct fg_device_tier *v, const struct fg_key *key)
{
    uint32_t i = find(v, key);

    if (i == FG_TIER_NONE)
        return;
    if (v->entries[i].users++ == 0)
        v->n_evictable--;
    unlink_use(v, i);
    link_newest(v, i);
}

static void forget(struct fg_device_tier *v, uint32_t i)
{
    struct entry *e = &v->entries[i];
    uint32_t *at = &v->buckets[bucket_of(v, &e->key)];

    while (*at != i)
        at = &v->entries[*at].chain;
    *at = e->chain;
    unlink_use(v, i);
    if (v->has_pages)
        fg_page_unref(v->engine, e->page);
    e->chain = v->free_list;
    v->free_list = i;
    if (e->users == 0)
        v->n_evictable--;
}

/* Forgets the least recently used entry that no sequence uses. */
static bool evict_one(struct fg_device_tier *v)
{
    uint32_t i = v->n_evictable ? v->oldest : FG_TIER_NONE;

    while (i != FG_TIER_NONE && v->entries[i].users)
        i = v->entries[i].newer;
    if (i == FG_TIER_NONE)
        return false;
    forget(v, i);
    return true;
}

void fg_device_tier_insert(struct fg_device_tier *v, const struct fg_key *key,
                           const struct fg_key *parent, const int32_t *tokens,
                           const struct fg_seq *seq, uint32_t index)
{
    uint32_t i, b = bucket_of(v, key);
    struct entry *e;

    if (find(v, key) != FG_TIER_NONE)
        return;
    if (v->free_list == FG_TIER_NONE && !evict_one(v))
        return;
    i = v->free_list;
    e = &v->entries[i];
    v->free_list = e->chain;
    e->key = *key;
    e->parent = *parent;
    memcpy(e->tokens, tokens, sizeof e->tokens);
    e->page = FG_TIER_NONE;
    e->users = 1;
    if (v->has_pages) {
        e->page = fg_seq_page(seq, index);
        fg_page_ref(v->engine, e->page);
    }
    e->chain = v->buckets[b];
    v->buckets[b] = i;
    link_newest(v, i);
}

void fg_device_tier_nearest(const struct fg_device_tier *v, const struct fg_key *parent,
                            const int32_t *tokens, uint32_t n, struct fg_nearest *nearest)
{
    for (uint32_t i = v->newest; i != FG_TIER_NONE; i = v->entries[i].older)
        if (memcmp(&v->entries[i].parent, parent, sizeof *parent) == 0)
            fg_nearest_add(nearest, tokens, n, v->entries[i].tokens);
}

void fg_device_tier_leave(struct fg_device_tier *v, const struct fg_key *keys, uint32_t n,
                          const struct fg_seq *seq)
{
    /* From the last to the first, so that a block is never older than what continues it. */
    while (n-- > 0) {
        uint32_t i = find(v, &keys[n]);

        /* Another page under this key is another sequence's: this one came second and was not kept.
         */
        if (i == FG_TIER_NONE || v->entries[i].users == 0 ||
            (v->has_pages && v->entries[i].page != fg_seq_page(seq, n)))
            continue;
        if (--v->entries[i].users == 0)
            v->n_evictable++;
        unlink_use(v, i);
        link_newest(v, i);
    }
}

/* The entry of block `key`, when `page` is its page. */
static struct entry *find_page(const struct fg_device_tier *v, const struct fg_key *key,
                               uint32_t page)
{
    uint32_t i = v->has_pages ? find(v, key) : FG_TIER_NONE;

    return i != FG_TIER_NONE && v->entries[i].page == page ? &v->entries[i] : NULL;
}

void fg_device_tier_hold(struct fg_device_tier *v, const struct fg_key *key, uint32_t page)
{
    struct entry *e = find_page(v, key, page);

    if (e && e->users++ == 0)
        v->n_evictable--;
}

void fg_device_tier_release(struct fg_device_tier *v, const struct fg_key *key, uint32_t page)
{
    struct entry *e = find_page(v, key, page);

    if (e && e->users && --e->users == 0)
        v->n_evictable++;
}

bool fg_device_tier_make_room(struct fg_device_tier *v, uint32_t want)
{
    while (fg_engine_free_pages(v->engine) < want)
        if (!v->has_pages || !evict_one(v))
            return false;
    return true;
}

uint32_t fg_device_tier_evictable(const struct fg_device_tier *v)
{
    return v->has_pages ? v->n_evictable : 0;
}

uint32_t fg_device_tier_evictable_among(const struct fg_device_tier *v, const struct fg_key *keys,
                                        uint32_t n)
{
    uint32_t count = 0;

    for (uint32_t b = 0; v->has_pages && b < n; b++) {
        uint32_t i = find(v, &keys[b]);

        count += i != FG_TIER_NONE && v->entries[i].users == 0;
    }
    return count;
}

uint32_t fg_device_tier_state(const struct fg_device_tier *v, const struct fg_key *key,
                              uint32_t block)
{
    for (uint32_t i = 0; i < v->n_slots; i++)
        if (v->slots[i].known && v->slots[i].block == block &&
            memcmp(&v->slots[i].key, key, sizeof *key) == 0)
            return i;
    return FG_TIER_NONE;
}

uint32_t fg_device_tier_state_take(struct fg_device_tier *v)
{
    uint32_t best = FG_TIER_NONE;

    for (uint32_t i = 0; i < v->n_slots; i++) {
        if (v->slots[i].pins)
            continue;
        if (best == FG_TIER_NONE || v->slots[i].used < v->slots[best].used)
            best = i;
    }
    if (best != FG_TIER_NONE)
        v->slots[best] = (struct slot){.pins = 1};
    return best;
}

void fg_device_tier_state_set(struct fg_device_tier *v, uint32_t slot, const struct fg_key *key,
                              uint32_t block, bool pinned)
{
    uint32_t twin = fg_device_tier_state(v, key, block);

    if (twin != FG_TIER_NONE && twin != slot && !v->slots[twin].pins)
        fg_device_tier_state_drop(v, twin);
    v->slots[slot] = (struct slot){
        .key = *key, .block = block, .used = ++v->clock, .known = true, .pins = pinned};
}

void fg_device_tier_state_unpin(struct fg_device_tier *v, uint32_t slot)
{
    v->slots[slot].pins--;
}

void fg_device_tier_state_pin(struct fg_device_tier *v, uint32_t slot)
{
    v->slots[slot].pins++;
}

void fg_device_tier_state_read_begins(struct fg_device_tier *v, uint32_t slot)
{
    v->slots[slot].read = true;
}

void fg_device_tier_state_read_ended(struct fg_device_tier *v, uint32_t slot)
{
    v->slots[slot].read = false;
}

bool fg_device_tier_state_busy(const struct fg_device_tier *v, uint32_t slot)
{
    return v->slots[slot].read;
}

void fg_device_tier_state_drop(struct fg_device_tier *v, uint32_t slot)
{
    v->slots[slot] = (struct slot){.known = false};
}

void fg_device_tier_state_touch(struct fg_device_tier *v, uint32_t slot)
{
    v->slots[slot].used = ++v->clock;
}

void fg_device_tier_sweep(struct fg_device_tier *v,
                          bool (*stored)(void *ctx, const struct fg_key *key, bool state),
                          void *ctx)
{
    for (uint32_t i = v->oldest, newer; i != FG_TIER_NONE; i = newer) {
        newer = v->entries[i].newer;
        if (!stored(ctx, &v->entries[i].key, false))
            forget(v, i);
    }
    for (uint32_t i = 0; i < v->n_slots; i++) {
        if (!v->slots[i].known || stored(ctx, &v->slots[i].key, true))
            continue;
        v->slots[i].known = false; /* who has pinned it goes by its number */
        if (!v->slots[i].pins)
            fg_device_tier_state_drop(v, i);
    }
}
