#include "offer.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/ticket.h"

/* Bytes under way beyond which nothing more is taken, where states are not larger yet. */
enum { MOST_BYTES = 256 << 20 };

struct fg_offer {
    struct fg_offer *next, *chain; /* in the order of offering; in the bucket */
    struct fg_key root, key, parent;
    bool dropped; /* it is not to be put */
    int32_t tokens[FG_BLOCK_TOKENS];
    struct fg_cache_put put;
    uint32_t page, slot; /* that are being read; FG_TIER_NONE */
    struct fg_ticket ticket;
};

/* Gives back the page or the slot, once it is read; again is once. 0, or why it was not read. */
static int let_go(const struct fg_prefix_cache *r, struct fg_offer *o, struct fg_err *err)
{
    if (o->page != FG_TIER_NONE && r->vram)
        fg_device_tier_release(r->vram, &o->key, o->page);
    if (o->page != FG_TIER_NONE)
        fg_page_unref(r->engine, o->page);
    if (o->slot != FG_TIER_NONE) {
        fg_device_tier_state_read_ended(r->vram, o->slot);
        fg_device_tier_state_unpin(r->vram, o->slot);
    }
    o->page = o->slot = FG_TIER_NONE;
    return fg_ticket_wait(&o->ticket, err);
}

static void destroy(struct fg_offer *o)
{
    fg_blob_unref(o->put.blob);
    fg_ticket_finish(&o->ticket);
    free(o);
}

static struct fg_offer *create(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                               const int32_t *tokens, uint32_t b, uint64_t bytes)
{
    struct fg_offer *o = calloc(1, sizeof *o);
    struct fg_blob *blob = o ? fg_blob_create(bytes) : NULL;

    if (!blob) {
        free(o);
        return NULL;
    }
    o->root = prefix->root;
    o->key = prefix->keys[b];
    o->parent = b ? prefix->keys[b - 1] : prefix->root;
    memcpy(o->tokens, tokens + (size_t)b * FG_BLOCK_TOKENS, sizeof o->tokens);
    o->put = (struct fg_cache_put){
        .key = &o->key, .parent = &o->parent, .tokens = o->tokens, .index = b, .blob = blob};
    o->page = o->slot = FG_TIER_NONE;
    fg_ticket_init(&o->ticket, r->wake);
    return o;
}

uint64_t fg_offer_most(const struct fg_prefix_cache *r)
{
    return r->state_bytes > MOST_BYTES / 2 ? 2 * (uint64_t)r->state_bytes : MOST_BYTES;
}

static bool no_room(const struct fg_prefix_cache *r, uint64_t bytes)
{
    return r->offers && r->offers->bytes && r->offers->bytes + bytes > fg_offer_most(r);
}

bool fg_closed_roots_have(const struct fg_closed_roots *c, const struct fg_key *root)
{
    for (size_t i = 0; i < c->n; i++)
        if (memcmp(&c->roots[i], root, sizeof *root) == 0)
            return true;
    return false;
}

/* Makes an offer of block b, or the state behind it, where it may be put. FG_ECANCELED, FG_EBUSY.
 */
static int begin(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                 const int32_t *tokens, uint32_t b, uint64_t bytes, struct fg_offer **out)
{
    for (struct fg_closed_roots *c = r->offers ? r->offers->closed : NULL; c; c = c->next)
        if (fg_closed_roots_have(c, &prefix->root))
            return FG_ECANCELED;
    *out = no_room(r, bytes) ? NULL : create(r, prefix, tokens, b, bytes);
    return *out ? 0 : FG_EBUSY;
}

static struct fg_offer **bucket(struct fg_offers *q, const struct fg_key *key)
{
    uint32_t hash;

    memcpy(&hash, key->b, sizeof hash); /* the key is a hash already */
    return &q->buckets[hash & (FG_OFFER_BUCKETS - 1)];
}

bool fg_offer_has(const struct fg_prefix_cache *r, const struct fg_key *key, bool is_state)
{
    struct fg_offer *o = r->offers ? *bucket(r->offers, key) : NULL;

    while (o &&
           (o->dropped || o->put.is_state != is_state || memcmp(&o->key, key, sizeof *key) != 0))
        o = o->chain;
    return o != NULL;
}

/* What has been read rests in host memory, and goes to the disk. */
static int hand_over(const struct fg_prefix_cache *r, struct fg_offer *o)
{
    fg_host_tier_offer(r->host, &o->key, o->put.is_state, o->tokens, o->put.blob);
    return r->cache ? fg_cache_put(r->cache, &o->put) : 0;
}

/* Takes over `o`, whose read has begun. */
static int enlist(const struct fg_prefix_cache *r, struct fg_offer *o)
{
    struct fg_offer **at;
    struct fg_err err;
    int rc;

    if (!r->offers) {
        fg_ticket_wait(&o->ticket, NULL);
        rc = let_go(r, o, &err);
        if (rc == 0)
            rc = hand_over(r, o);
        destroy(o);
        return rc;
    }
    if (r->offers->last)
        r->offers->last->next = o;
    else
        r->offers->first = o;
    r->offers->last = o;
    at = bucket(r->offers, &o->key);
    o->chain = *at;
    *at = o;
    r->offers->bytes += fg_blob_bytes(o->put.blob);
    fg_offer_turn(r);
    return 0;
}

int fg_offer_block(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                   const int32_t *tokens, uint32_t b, uint32_t page, double seconds)
{
    struct fg_offer *o;
    int rc = begin(r, prefix, tokens, b, r->block_bytes, &o);

    if (rc)
        return rc;
    o->put.seconds = seconds;
    if (r->page_bytes) {
        o->page = page;
        fg_page_ref(r->engine, page);
        if (r->vram)
            fg_device_tier_hold(r->vram, &o->key, page);
        fg_page_read(r->engine, page, o->put.blob, &o->ticket);
    } else {
        memset(fg_blob_piece(o->put.blob, 0, &(size_t){0}), 0, r->block_bytes);
    }
    return enlist(r, o);
}

int fg_offer_slot(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                  const int32_t *tokens, uint32_t n, uint32_t slot, enum fg_boundary at)
{
    struct fg_offer *o;
    int rc = begin(r, prefix, tokens, n - 1, r->state_bytes, &o);

    if (rc) {
        fg_device_tier_state_unpin(r->vram, slot);
        return rc;
    }
    o->put.is_state = true;
    o->put.at = at;
    o->slot = slot;
    fg_device_tier_state_read_begins(r->vram, slot);
    fg_state_read(r->engine, slot, o->put.blob, &o->ticket);
    return enlist(r, o);
}

int fg_offer_bytes(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                   const int32_t *tokens, uint32_t n, const void *bytes, enum fg_boundary at)
{
    struct fg_offer *o;
    int rc = begin(r, prefix, tokens, n - 1, r->state_bytes, &o);

    if (rc)
        return rc;
    fg_blob_write(o->put.blob, 0, bytes, r->state_bytes);
    o->put.is_state = true;
    o->put.at = at;
    return enlist(r, o);
}

static void take_first(struct fg_offers *q)
{
    struct fg_offer *o = q->first, **at = bucket(q, &o->key);

    while (*at != o)
        at = &(*at)->chain;
    *at = o->chain;
    q->first = o->next;
    if (!q->first)
        q->last = NULL;
    q->bytes -= fg_blob_bytes(o->put.blob);
    destroy(o);
}

bool fg_offer_reading(const struct fg_prefix_cache *r)
{
    for (struct fg_offer *o = r->offers ? r->offers->first : NULL; o; o = o->next)
        if (o->page != FG_TIER_NONE || o->slot != FG_TIER_NONE)
            return true;
    return false;
}

bool fg_offer_refused(const struct fg_prefix_cache *r)
{
    return r->offers && r->offers->first && !fg_ticket_pending(&r->offers->first->ticket);
}

void fg_offer_turn(const struct fg_prefix_cache *r)
{
    struct fg_offers *q = r->offers;
    struct fg_err ignored;

    /* What is read is of use to others at once, also where the first one has to wait. */
    for (struct fg_offer *o = q ? q->first : NULL; o; o = o->next)
        if (!fg_ticket_pending(&o->ticket))
            let_go(r, o, &ignored);
    while (q && q->first && !fg_ticket_pending(&q->first->ticket)) {
        struct fg_err err;
        int rc = let_go(r, q->first, &err);

        if (rc)
            fg_log(FG_LOG_WARN, "flow", "store=unread cause=\"%s\"", err.text);
        else if (!q->first->dropped)
            rc = hand_over(r, q->first);
        if (rc == FG_EBUSY)
            return; /* its queue is full; again at the next turn */
        take_first(q);
    }
}

void fg_offer_drain(const struct fg_prefix_cache *r)
{
    while (r->offers && r->offers->first) {
        struct fg_offer *o = r->offers->first;

        fg_ticket_wait(&o->ticket, NULL);
        fg_offer_turn(r);
        if (r->offers->first == o)
            fg_cache_flush(r->cache);
    }
}

void fg_offer_close(const struct fg_prefix_cache *r, struct fg_closed_roots *c)
{
    for (struct fg_offer *o = r->offers->first; o; o = o->next)
        o->dropped = o->dropped || fg_closed_roots_have(c, &o->root);
    c->next = r->offers->closed;
    r->offers->closed = c;
}

void fg_offer_open(const struct fg_prefix_cache *r, struct fg_closed_roots *c)
{
    struct fg_closed_roots **at = &r->offers->closed;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}
