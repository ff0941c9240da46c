/* Offer: records on their way from the device to the store. Each is read by a transfer into a blob
 * and then put, in the order in which they were offered: a block is never put before the one that
 * it continues. Nobody waits. The runner's thread. */
#ifndef FG_OFFER_H
#define FG_OFFER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "longest.h"
#include "prefix_keys.h"

/* What is under way of a prefix cache; begins as zeros. */
struct fg_offers {
    struct fg_offer *first, *last;
    _Atomic uint64_t bytes; /* of all; any thread may look */
};

/* Block b of the prefix, whose tokens begin at tokens[0]: its page, if there are pages, is kept
 * until it is read. seconds: of prefill. 0: the store has it or will be asked; FG_EBUSY: too much
 * is under way, offer it again; FG_ENOMEM; other codes: the store's refusal, where that is known at
 * once. Without r->offers this waits. */
int fg_offer_block(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                   const int32_t *tokens, uint32_t b, uint32_t page, double seconds);
/* The state behind n blocks that lies in `slot`, pinned: the pin goes over to the offer, also where
 * it fails. As above. */
int fg_offer_slot(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                  const int32_t *tokens, uint32_t n, uint32_t slot, enum fg_boundary at);
/* The same with the state's bytes on the host, state_bytes of them. */
int fg_offer_bytes(const struct fg_prefix_cache *r, const struct fg_prefix *prefix,
                   const int32_t *tokens, uint32_t n, const void *bytes, enum fg_boundary at);

/* Does the device still read some of them, whose pages and slots come free then? */
bool fg_offer_reading(const struct fg_prefix_cache *r);
/* Did the store refuse the first of them for now? It wakes nobody when it has room again. */
bool fg_offer_refused(const struct fg_prefix_cache *r);
/* Lets go of the pages and slots that are read, and puts what has been read. */
void fg_offer_turn(const struct fg_prefix_cache *r);
/* Puts all, waiting for the device and, where the store's queue is full, for the disk. */
void fg_offer_drain(const struct fg_prefix_cache *r);
/* Lets go of all, waiting for what is being read. */
void fg_offer_drop(const struct fg_prefix_cache *r);

#endif
