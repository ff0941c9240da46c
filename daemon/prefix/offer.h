/* Offer: records on their way from the device to the store. Each is read by a transfer into a blob
 * and then put, in the order in which they were offered: a block is never put before the one that
 * it continues. Nobody waits. The runner's thread. */
#ifndef FG_OFFER_H
#define FG_OFFER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "longest.h"
#include "prefix_keys.h"

/* Roots of keys of which nothing is to be stored for a while. The memory is the caller's. */
struct fg_closed_roots {
    const struct fg_key *roots; /* [n] */
    size_t n;
    struct fg_closed_roots *next; /* the offers' */
};
bool fg_closed_roots_have(const struct fg_closed_roots *c, const struct fg_key *root);

enum { FG_OFFER_BUCKETS = 512 }; /* a power of two */

/* What is under way of a prefix cache; begins as zeros. */
struct fg_offers {
    struct fg_offer *first, *last;
    struct fg_offer *buckets[FG_OFFER_BUCKETS]; /* the same, by key */
    struct fg_closed_roots *closed;
    _Atomic uint64_t bytes; /* of all; any thread may look */
};

/* Block b of the prefix, whose tokens begin at tokens[0]: its page, if there are pages, is kept
 * until it is read. seconds: of prefill. 0: the store has it or will be asked; FG_EBUSY: too much
 * is under way, offer it again; FG_ECANCELED: its root is closed; other codes: the store's refusal,
 * where that is known at once. Without r->offers this waits. */
int fg_offer_block(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                   const int32_t *tokens, uint32_t b, uint32_t page, double seconds);
/* The state behind n blocks that lies in `slot`, pinned: the pin goes over to the offer, also where
 * it fails. As above. */
int fg_offer_slot(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                  const int32_t *tokens, uint32_t n, uint32_t slot, enum fg_boundary at);
/* The same with the state's bytes on the host, state_bytes of them. */
int fg_offer_bytes(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                   const int32_t *tokens, uint32_t n, const void *bytes, enum fg_boundary at);

/* Is the block `key`, or the state at its end, on its way? */
bool fg_offer_has(const struct fg_prefix_cache *r, const struct fg_key *key, bool is_state);
/* Does the device still read some of them, whose pages and slots come free then? */
bool fg_offer_reading(const struct fg_prefix_cache *r);
/* Bytes under way beyond which an offer is refused, unless it is the only one. A state of any size
 * finds room beside the blocks before it. */
uint64_t fg_offer_most(const struct fg_prefix_cache *r);
/* Did the store refuse the first of them for now? It wakes nobody when it has room again. */
bool fg_offer_refused(const struct fg_prefix_cache *r);
/* Lets go of the pages and slots that are read, and puts what has been read. */
void fg_offer_turn(const struct fg_prefix_cache *r);
/* Puts all, waiting for the device and, where the store's queue is full, for the disk. */
void fg_offer_drain(const struct fg_prefix_cache *r);
/* From here to fg_offer_open() nothing under these roots is put: what is on its way is let go of as
 * its read ends, and what is offered meanwhile is refused. Several may be closed at a time. */
void fg_offer_close(const struct fg_prefix_cache *r, struct fg_closed_roots *c);
void fg_offer_open(const struct fg_prefix_cache *r, struct fg_closed_roots *c);

#endif
