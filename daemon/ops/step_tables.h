/* What the host writes for a step, and operations read: which tokens, where they lie. */
#ifndef FG_OPS_STEP_TABLES_H
#define FG_OPS_STEP_TABLES_H

#include <stdbool.h>
#include <stdint.h>

struct fg_buffer; /* gpu/buffer.h */

/* In host memory; rows are structs of shaders/lib/rows.h. */
struct fg_step_tables {
    struct fg_buffer *tokens;     /* a row a token: id, position, slot */
    struct fg_buffer *rope;       /* [n_batch][rope_dim / 2] cos and sin of each token's angles */
    struct fg_buffer *rope_local; /* the same of layers that have frequencies of their own */
    struct fg_buffer *table;      /* [n_seq][max_pages] page tables */
    struct fg_buffer *chunks;     /* runs of tokens inside a chunk */
    struct fg_buffer *groups;     /* tokens of one sequence that softmax attention takes together */
    struct fg_buffer *index;      /* rows of the head */
    uint32_t max_pages;           /* of the longest sequence */
};

/* Runs of tokens inside a chunk, one of each sequence at most. */
struct fg_step_round {
    uint32_t row0, n_rows; /* in `chunks` */
    bool ends_chunk;       /* one of them ends its chunk */
};
struct fg_step_shape {
    uint32_t n_tokens;
    uint32_t n_single, single_tiles;    /* leading one-token pieces; key tiles of the longest */
    uint32_t n_groups;                  /* of the others, behind the single ones in `groups` */
    uint32_t n_rounds;                  /* runs of chunks that may go together */
    const struct fg_step_round *rounds; /* [n_rounds] */
};

#endif
