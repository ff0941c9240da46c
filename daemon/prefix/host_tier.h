/* The host tier: records in memory, between the device and the disk.
 *
 * What the device gives to the store, and what the store gives to the device, rests here as well:
 * the same blob, not a copy. Within a budget of bytes; least recently used goes first. Token ids
 * are compared on every hit. One thread: the runner's. */
#ifndef FG_HOST_TIER_H
#define FG_HOST_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/key.h"

struct fg_blob;
struct fg_host_tier;

/* A budget of 0 keeps nothing. NULL: out of memory. */
struct fg_host_tier *fg_host_tier_create(uint64_t max_bytes);
/* Blobs that others refer to stay theirs. NULL is fine. */
void fg_host_tier_destroy(struct fg_host_tier *h);

/* Is the block `key`, or the state at its end, here? h may be NULL: no. */
bool fg_host_tier_has(const struct fg_host_tier *h, const struct fg_key *key, bool is_state);
/* The record's blob when it is of tokens[64], as a reference of the caller's, and counts as used;
 * else NULL. */
struct fg_blob *fg_host_tier_fetch(struct fg_host_tier *h, const struct fg_key *key, bool is_state,
                                   const int32_t *tokens);
/* Keeps a reference, unless the record is here already or larger than the budget. Never fails: when
 * there is no room nothing is kept. */
void fg_host_tier_offer(struct fg_host_tier *h, const struct fg_key *key, bool is_state,
                        const int32_t *tokens, struct fg_blob *blob);
/* Forgets what `stored` denies. */
void fg_host_tier_sweep(struct fg_host_tier *h,
                        bool (*stored)(void *ctx, const struct fg_key *key, bool state), void *ctx);

struct fg_host_tier_stats {
    uint64_t records, bytes, max_bytes, hits;
};
void fg_host_tier_stats(const struct fg_host_tier *h, struct fg_host_tier_stats *out);

#endif
