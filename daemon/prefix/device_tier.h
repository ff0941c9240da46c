/* The VRAM cache: which KV pages and saved states on the device belong to which prefix.
 *
 * An index over the engine's pages and saved-state slots by prefix key. It holds one reference to
 * each page it knows; sequences share those pages. What no sequence uses is given back, least
 * recently used first, when the pool runs out. Token ids are compared on every hit.
 * For models without KV pages (page_bytes 0) blocks are known by key alone.
 * One thread: the engine's. */
#ifndef FG_VRAM_H
#define FG_VRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/key.h"
#include "fulgur/error.h"
#include "model/engine.h"

struct fg_device_tier;

enum { FG_TIER_NONE = UINT32_MAX };

/* FG_ENOMEM. The engine must outlive the index. */
int fg_device_tier_create(struct fg_engine *e, struct fg_device_tier **out, struct fg_err *err);
/* Gives all pages back. NULL is fine. */
void fg_device_tier_destroy(struct fg_device_tier *v);

/* --- blocks --- */

/* Is block `key` with tokens[64] on the device? *page gets its page (FG_TIER_NONE for a model
 * without pages); `page` may be NULL. */
bool fg_device_tier_find(const struct fg_device_tier *v, const struct fg_key *key,
                         const int32_t *tokens, uint32_t *page);
/* Notes a use of those of keys[0..n) that are known, the first as the most recent. */
void fg_device_tier_touch(struct fg_device_tier *v, const struct fg_key *keys, uint32_t n);
/* Counts a sequence as user of block `key`, which fg_device_tier_find() just found. */
void fg_device_tier_use(struct fg_device_tier *v, const struct fg_key *key);
/* Makes full page `index` of seq, block `key`, known with seq as its user. `parent`: the key of the
 * block before it, or the root. Does nothing when the key is known already. Never fails: when there
 * is no room nothing is kept. */
void fg_device_tier_insert(struct fg_device_tier *v, const struct fg_key *key,
                           const struct fg_key *parent, const int32_t *tokens,
                           const struct fg_seq *seq, uint32_t index);
/* As fg_cache_nearest(), of the blocks on the device. */
void fg_device_tier_nearest(const struct fg_device_tier *v, const struct fg_key *parent,
                            const int32_t *tokens, uint32_t n, struct fg_nearest *nearest);
/* seq, of keys[0..n), is about to be destroyed: ends the uses that fg_device_tier_use() and
 * fg_device_tier_insert() counted for it, the last block as the least recently used. */
void fg_device_tier_leave(struct fg_device_tier *v, const struct fg_key *keys, uint32_t n,
                          const struct fg_seq *seq);
/* A transfer reads `page`, and with it block `key` where that is its page: until the release it
 * counts as used, since evicting it would free nothing. Where the two do not (any more) belong
 * together both do nothing. */
void fg_device_tier_hold(struct fg_device_tier *v, const struct fg_key *key, uint32_t page);
void fg_device_tier_release(struct fg_device_tier *v, const struct fg_key *key, uint32_t page);
/* Frees pages that nobody uses, least recently used first, until the engine has `want` free
 * ones. False when that is not to be had (all that could go is gone then). */
bool fg_device_tier_make_room(struct fg_device_tier *v, uint32_t want);
/* Pages that fg_device_tier_make_room() could free, and of those how many lie among keys[0..n). */
uint32_t fg_device_tier_evictable(const struct fg_device_tier *v);
uint32_t fg_device_tier_evictable_among(const struct fg_device_tier *v, const struct fg_key *keys,
                                        uint32_t n);

/* Forgets every block and state that `stored` denies, in use or not: sequences keep their pages,
 * and pinned slots stay pinned. */
void fg_device_tier_sweep(struct fg_device_tier *v,
                          bool (*stored)(void *ctx, const struct fg_key *key, bool state),
                          void *ctx);

/* --- states --- */

/* The slot of the state at the end of block `key`, block number `block`; FG_TIER_NONE when none. */
uint32_t fg_device_tier_state(const struct fg_device_tier *v, const struct fg_key *key,
                              uint32_t block);
/* A slot to save into: a free one, else the least recently used that is not pinned, which is
 * forgotten; FG_TIER_NONE when all are pinned or there are none. The slot stays without a key, and
 * pinned, until fg_device_tier_state_set(). */
uint32_t fg_device_tier_state_take(struct fg_device_tier *v);
/* Slot now holds the state at the end of block `key`; `pinned`: not to be taken for another use. */
void fg_device_tier_state_set(struct fg_device_tier *v, uint32_t slot, const struct fg_key *key,
                              uint32_t block, bool pinned);
/* Another use is not to take the slot, which has a key, before fg_device_tier_state_unpin(). Pins
 * count.
 */
void fg_device_tier_state_pin(struct fg_device_tier *v, uint32_t slot);
/* A transfer reads the slot: nothing is copied into it or out of it before that has ended. */
void fg_device_tier_state_read_begins(struct fg_device_tier *v, uint32_t slot);
void fg_device_tier_state_read_ended(struct fg_device_tier *v, uint32_t slot);
bool fg_device_tier_state_busy(const struct fg_device_tier *v, uint32_t slot);
/* Ends the pin; a slot without a key becomes free. */
void fg_device_tier_state_unpin(struct fg_device_tier *v, uint32_t slot);
/* Forgets what slot holds; it becomes free. */
void fg_device_tier_state_drop(struct fg_device_tier *v, uint32_t slot);
/* Notes a use. */
void fg_device_tier_state_touch(struct fg_device_tier *v, uint32_t slot);

#endif
