/* Store: makes what a sequence has computed known to the VRAM cache and hands it to the store.
 *
 * Every full block is kept; states at the boundaries that the caller asks for, and the state at the
 * last boundary of an answer. The store never makes the caller wait: what its queue cannot take is
 * offered again at the next call, or lost. The engine's thread. */
#ifndef FG_STORE_H
#define FG_STORE_H

#include "longest.h"
#include "prefix_keys.h"

/* With r->read_only nothing is kept: the calls below only end what they are given. */

/* How far a sequence's traces in the caches go. */
struct fg_trail {
    uint32_t indexed;    /* leading blocks made known to VRAM */
    uint32_t stored;     /* leading blocks that the store has or was given */
    uint32_t slot;       /* the pinned slot of the running state; FG_TIER_NONE */
    uint32_t running;    /* blocks before the running state; 0: there is none */
    bool refused;        /* the store said that it will not have this prefix */
    uint32_t last;       /* blocks before the last state on the way; 0: there is none */
    enum fg_boundary at; /* what the next state marks; at first the end of a prompt */
    void *held;          /* the running state on the host, when no slot was free; malloc'd */
};

void fg_trail_init(struct fg_trail *t);
/* Frees and unpins without writing anything. */
void fg_trail_finish(struct fg_trail *t, const struct fg_prefix_cache *r);

/* Would the store admit a state behind n blocks that marks `at`, where the last one lies behind
 * `last` (0: there is none)? Also without a rate: what it saves is unknown then. Of an end the
 * blocks since the last state count as well. */
bool fg_store_admits(const struct fg_prefix_cache *r, uint32_t last, uint32_t n,
                     enum fg_boundary at);
/* Keeps the full blocks of seq that t does not know yet. prefix->keys cover them; tokens are the
 * sequence's. FG_EDEVICE, FG_EDEVICELOST. */
int fg_store_blocks(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                    const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err);
/* Keeps the state at seq's end, a boundary (t->at says which), in a free saved-state slot and, when
 * it is admitted, in the store; its blocks are stored first. Nothing for models without states.
 * FG_EDEVICE, FG_EDEVICELOST. */
int fg_store_state(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                   const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err);
/* Notes the state at seq's end, a boundary, in place of the one noted before: the answer's last
 * boundary is known only when it ends. */
int fg_store_note_state(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                        const struct fg_prefix *prefix, struct fg_err *err);
/* The answer ended: stores the remaining blocks and the noted state. Consumes seq (see
 * fg_restore_drop()) also on failure. */
int fg_store_end(const struct fg_prefix_cache *r, struct fg_trail *t, struct fg_seq *seq,
                 const struct fg_prefix *prefix, const int32_t *tokens, struct fg_err *err);

#endif
