/* What a sequence owns on the device, as a list of typed pieces that the model's blocks give.
 * Capture, restore, zero and plan walk the list; none of them knows what a piece is for. */
#ifndef FG_MEMORY_H
#define FG_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "ops/ops.h"

struct fg_block_shape; /* block.h */

enum fg_memory_kind {
    FG_MEMORY_PAGE,  /* keys and values of 64 tokens; shared, immutable when full */
    FG_MEMORY_STATE, /* at the start of a sequence's chunk: begins as zeros, is captured */
    FG_MEMORY_TAIL,  /* of a short convolution: as a state */
    FG_MEMORY_ROWS,  /* of the chunk under way: worth nothing at its end */
};

struct fg_memory_piece {
    enum fg_memory_kind kind;
    const char *what;         /* "KV pages", for messages */
    uint64_t bytes;           /* of one page, or of one sequence's slot; a multiple of 16 */
    struct fg_buffer *buffer; /* [n_pages] or [n_seq] of them, one after the other */
};

/* Of one block. */
enum { FG_BLOCK_PIECES = 5 };
struct fg_block_memory {
    struct fg_memory_piece pieces[FG_BLOCK_PIECES];
    uint32_t n;
};
void fg_block_memory_add(struct fg_block_memory *m, enum fg_memory_kind kind, const char *what,
                         uint64_t bytes);

struct fg_memory {
    struct fg_memory_piece *pieces; /* [n], in the order of blocks */
    uint32_t n;
    /* Sums over pieces: of a page, of what is captured of a sequence, of its chunk's rows. */
    uint64_t page_bytes, state_bytes, rows_bytes;
    /* The largest pieces: of pages, and of what slots hold. */
    uint64_t largest_page, largest_slot;
};

/* The list of n blocks, without buffers. first: [n] out (or NULL), each block's first piece.
 * FG_ENOMEM, FG_EUNSUPPORTED (more than 64 bits hold). */
int fg_memory_list(struct fg_memory *m, const struct fg_block_shape *blocks, uint32_t n,
                   enum fg_kv_type kv, uint32_t *first, struct fg_err *err);
void fg_memory_finish(struct fg_memory *m);

/* Whether a piece is captured with the state. */
static inline bool fg_memory_is_state(const struct fg_memory_piece *p)
{
    return p->kind == FG_MEMORY_STATE || p->kind == FG_MEMORY_TAIL;
}

#endif
