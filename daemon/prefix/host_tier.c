#include "host_tier.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"

struct record {
    struct fg_key key;
    bool is_state;
    int32_t tokens[FG_BLOCK_TOKENS];
    struct fg_blob *blob;
    struct record *chain;         /* next in the bucket */
    struct record *newer, *older; /* the order of use */
};

struct fg_host_tier {
    struct record **buckets; /* [n_buckets], a power of two */
    uint32_t n_buckets;
    struct record *newest, *oldest;
    struct fg_host_tier_stats stats;
};

static uint64_t cost(const struct record *r)
{
    return fg_blob_bytes(r->blob) + sizeof *r;
}

static struct record **bucket(const struct fg_host_tier *h, const struct fg_key *key)
{
    uint32_t hash;

    memcpy(&hash, key->b, sizeof hash); /* the key is a hash already */
    return &h->buckets[hash & (h->n_buckets - 1)];
}

struct fg_host_tier *fg_host_tier_create(uint64_t max_bytes)
{
    struct fg_host_tier *h = calloc(1, sizeof *h);

    if (!h)
        return NULL;
    h->stats.max_bytes = max_bytes;
    /* Blocks of small models are some KiB. */
    for (h->n_buckets = 64; h->n_buckets < max_bytes >> 14 && h->n_buckets < 1 << 20;)
        h->n_buckets *= 2;
    h->buckets = calloc(h->n_buckets, sizeof(struct record *));
    if (!h->buckets) {
        free(h);
        return NULL;
    }
    return h;
}

static struct record *find(const struct fg_host_tier *h, const struct fg_key *key, bool is_state)
{
    struct record *r = *bucket(h, key);

    while (r && (r->is_state != is_state || memcmp(&r->key, key, sizeof *key) != 0))
        r = r->chain;
    return r;
}

static void unlink_use(struct fg_host_tier *h, struct record *r)
{
    *(r->newer ? &r->newer->older : &h->newest) = r->older;
    *(r->older ? &r->older->newer : &h->oldest) = r->newer;
}

static void link_newest(struct fg_host_tier *h, struct record *r)
{
    r->newer = NULL;
    r->older = h->newest;
    *(h->newest ? &h->newest->newer : &h->oldest) = r;
    h->newest = r;
}

static void forget(struct fg_host_tier *h, struct record *r)
{
    struct record **at = bucket(h, &r->key);

    while (*at != r)
        at = &(*at)->chain;
    *at = r->chain;
    unlink_use(h, r);
    h->stats.records--;
    h->stats.bytes -= cost(r);
    fg_blob_unref(r->blob);
    free(r);
}

void fg_host_tier_destroy(struct fg_host_tier *h)
{
    if (!h)
        return;
    while (h->newest)
        forget(h, h->newest);
    free(h->buckets);
    free(h);
}

bool fg_host_tier_has(const struct fg_host_tier *h, const struct fg_key *key, bool is_state)
{
    return h && find(h, key, is_state);
}

struct fg_blob *fg_host_tier_fetch(struct fg_host_tier *h, const struct fg_key *key, bool is_state,
                                   const int32_t *tokens)
{
    struct record *r = h ? find(h, key, is_state) : NULL;

    if (!r || memcmp(r->tokens, tokens, sizeof r->tokens) != 0)
        return NULL;
    unlink_use(h, r);
    link_newest(h, r);
    h->stats.hits++;
    return fg_blob_ref(r->blob);
}

void fg_host_tier_offer(struct fg_host_tier *h, const struct fg_key *key, bool is_state,
                        const int32_t *tokens, struct fg_blob *blob)
{
    struct record *r, **at;
    uint64_t bytes = fg_blob_bytes(blob) + sizeof *r;

    if (!h || bytes > h->stats.max_bytes || find(h, key, is_state))
        return;
    r = calloc(1, sizeof *r);
    if (!r)
        return;
    while (h->stats.bytes + bytes > h->stats.max_bytes)
        forget(h, h->oldest);
    r->key = *key;
    r->is_state = is_state;
    memcpy(r->tokens, tokens, sizeof r->tokens);
    r->blob = fg_blob_ref(blob);
    at = bucket(h, key);
    r->chain = *at;
    *at = r;
    link_newest(h, r);
    h->stats.records++;
    h->stats.bytes += bytes;
}

void fg_host_tier_sweep(struct fg_host_tier *h,
                        bool (*stored)(void *ctx, const struct fg_key *key, bool state), void *ctx)
{
    for (struct record *r = h ? h->newest : NULL, *older; r; r = older) {
        older = r->older;
        if (!stored(ctx, &r->key, r->is_state))
            forget(h, r);
    }
}

void fg_host_tier_stats(const struct fg_host_tier *h, struct fg_host_tier_stats *out)
{
    *out = h ? h->stats : (struct fg_host_tier_stats){0};
}
