/* Lookup: the longest prefix of a prompt that can be restored, from the VRAM cache and the store
 * together. The engine's thread. */
#ifndef FG_LOOKUP_H
#define FG_LOOKUP_H

#include "cache/cache.h"
#include "rate.h"
#include "device_tier.h"
#include "host_tier.h"

/* What the stages between lookup and store work on: a device's engine and the two caches beside it.
 * Plain arguments, so that tools can use these stages without the flow's threads. */
struct fg_prefix_cache {
    struct fg_engine *engine;
    struct fg_device_tier *vram;    /* or NULL */
    struct fg_host_tier *host;      /* or NULL */
    struct fg_cache *cache;         /* or NULL */
    size_t page_bytes, state_bytes; /* the engine's */
    size_t block_bytes; /* of a block's record: the store wants a byte where there are no pages */
    bool read_only;     /* what is read and computed becomes known to neither cache */
    const struct fg_rate *rate; /* of prefill; or NULL: unknown */
    struct fg_offers *offers;   /* what is on its way to the store; NULL: keeping waits */
    struct fg_queue *wake;      /* woken when something under way has ended; or NULL */
    struct fg_way **unwanted;   /* of stopped restores; NULL: stopping waits */
    struct fg_look **looks;     /* of verifications; or NULL: there are none */
};

/* Fills all fields; vram and cache may be NULL. */
void fg_prefix_cache_init(struct fg_prefix_cache *r, struct fg_engine *e, struct fg_device_tier *v,
                          struct fg_cache *c);

struct fg_lookup {
    uint32_t found; /* leading blocks that VRAM or the store hold */
    uint32_t
        restore; /* leading blocks that can be restored: ends at a state where states are needed */
};

/* keys[i] and tokens[64*i ..] describe block i, for n blocks. A store that cannot be read counts as
 * empty (and is logged). */
void fg_lookup_prefix(const struct fg_prefix_cache *r, const struct fg_key *keys,
                      const int32_t *tokens, uint32_t n, struct fg_lookup *out);

#endif
