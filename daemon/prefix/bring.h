/* Restore: brings a stored prefix into a sequence, from VRAM where it is there and else from the
 * store. A record that is gone or corrupt shortens what is restored and never fails the request.
 * The engine's thread. */
#ifndef FG_RESTORE_H
#define FG_RESTORE_H

#include "longest.h"
#include "prefix_keys.h"

/* Appends blocks len/64 .. to-1 to seq, whose length len is a multiple of 64. Store records read
 * are added to *store_records. FG_ENOTFOUND: the next block is nowhere (any more); seq holds those
 * before. FG_EBUSY: no page is free. FG_EDEVICE, FG_EDEVICELOST. */
int fg_restore_blocks(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_prefix *prefix,
                      const int32_t *tokens, uint32_t to, uint32_t *store_records,
                      struct fg_err *err);
/* The state at the end of block `block`, where seq ends. The same errors. */
int fg_restore_state(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_key *keys,
                     const int32_t *tokens, uint32_t block, uint32_t *store_records,
                     struct fg_err *err);

/* A restore on its way, so that other work can go between its pieces. */
struct fg_restore {
    const struct fg_prefix *prefix; /* the caller's, while it lasts */
    const int32_t *tokens;
    uint32_t found;         /* leading blocks that were known when it began */
    uint32_t target;        /* blocks it is going for */
    uint32_t store_records; /* read from the store so far */
    uint32_t fallbacks;     /* times it had to settle for less */
    bool corrupt;           /* one of those times because a record did not verify */
    bool done;
};

/* Looks up. At most max_blocks are restored: to get logits, leave the last token to be computed. */
void fg_restore_begin(struct fg_restore *w, const struct fg_reuse *r,
                      const struct fg_prefix *prefix, const int32_t *tokens, uint32_t max_blocks);
/* Restores up to n_blocks more into *seq, a sequence that fg_restore_begin() found empty; sets
 * w->done when it holds all that is to be had. Falling back may replace *seq by a new sequence.
 * FG_EBUSY (no free page; call again when there is), FG_EDEVICE, FG_EDEVICELOST. */
int fg_restore_advance(struct fg_restore *w, const struct fg_reuse *r, struct fg_seq **seq,
                       uint32_t n_blocks, struct fg_err *err);

/* A restore that is done: aims for what the device has by now of the first n blocks beyond those in
 * seq, up to a state where states are needed. w->done stays when there is no more. */
void fg_restore_more(struct fg_restore *w, const struct fg_reuse *r, const struct fg_seq *seq,
                     uint32_t n);

/* Ends seq's uses in VRAM (its tokens begin with keys[0 .. len/64)) and destroys it. NULL is fine.
 */
void fg_restore_drop(const struct fg_reuse *r, struct fg_seq *seq, const struct fg_key *keys);

#endif
