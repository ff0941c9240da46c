/* Restore: brings a stored prefix into a sequence, from VRAM where it is there and else from the
 * store. A record that is gone or corrupt shortens what is restored and never fails the request.
 * The engine's thread. */
#ifndef FG_RESTORE_H
#define FG_RESTORE_H

#include "longest.h"
#include "prefix_keys.h"

/* A restore on its way, so that other work can go on beside it. */
struct fg_restore {
    const struct fg_prefix *prefix; /* the caller's, while it lasts */
    const int32_t *tokens;
    uint32_t found;         /* leading blocks that were known when it began */
    uint32_t target;        /* blocks it is going for */
    uint32_t store_records; /* read from the store so far */
    uint32_t ram_records;   /* and from host memory */
    uint32_t fallbacks;     /* times it had to settle for less */
    bool corrupt;           /* one of those times because a record did not verify */
    bool done;
    bool waits;         /* it goes on when what is under way has come further */
    struct fg_way *way; /* what is under way; or NULL */
};

/* Looks up. At most max_blocks are restored: to get logits, leave the last token to be computed. */
void fg_restore_begin(struct fg_restore *w, const struct fg_prefix_cache *r,
                      const struct fg_prefix *prefix, const int32_t *tokens, uint32_t max_blocks);
/* Goes on as far as it can without waiting, by n_blocks more at most, into *seq, a sequence that
 * fg_restore_begin() found empty; sets w->done when it holds all that is to be had. Else it is to
 * be called again, at the latest when r->wake wakes up. Falling back may replace *seq by a new
 * sequence. FG_EBUSY (no free page; call again when there is), FG_ENOMEM, FG_EDEVICE,
 * FG_EDEVICELOST. */
int fg_restore_advance(struct fg_restore *w, const struct fg_prefix_cache *r, struct fg_seq **seq,
                       uint32_t n_blocks, struct fg_err *err);
/* Waits until one of the records under way has come further: for tools and tests. */
void fg_restore_wait(struct fg_restore *w);
/* A restore that is not to go on: what is under way ends by itself and is given back later. */
void fg_restore_stop(struct fg_restore *w, const struct fg_prefix_cache *r);
/* Gives back what stopped restores have left and has ended; with `wait` all of it. */
void fg_restore_reap(const struct fg_prefix_cache *r, bool wait);
/* Are pages or slots of stopped restores still being written? They come free then. */
bool fg_restore_ending(const struct fg_prefix_cache *r);
/* A restore that is done: aims for what the device has by now of the first n blocks beyond those in
 * seq, up to a state where states are needed. w->done stays when there is no more. */
void fg_restore_more(struct fg_restore *w, const struct fg_prefix_cache *r,
                     const struct fg_seq *seq, uint32_t n);

/* Ends seq's uses in VRAM (its tokens begin with keys[0 .. len/64)) and destroys it. NULL is fine.
 */
void fg_restore_drop(const struct fg_prefix_cache *r, struct fg_seq *seq,
                     const struct fg_key *keys);

#endif
