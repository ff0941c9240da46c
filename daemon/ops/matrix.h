/* Matrices of weights on the device, in the tile layout of shaders/matmul/weights.glsl.
 * model/weights.h makes them. */
#ifndef FG_OPS_MATRIX_H
#define FG_OPS_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

#include "model/gguf/dtype.h"

struct fg_buffer; /* gpu/buffer.h */

/* A run of rows (or of whole experts) that fits one binding. */
struct fg_matrix_part {
    struct fg_buffer *buffer;
    uint32_t row0, n_rows;       /* dense: rows of the matrix */
    uint32_t expert0, n_experts; /* MoE: experts, all rows of each */
    uint32_t scale_at;           /* uvec4 index of the scales in the buffer */
    uint64_t bytes;              /* of the buffer */
};

/* y = W x; W is [n_experts][n_rows][k], one expert where there are none. Gated: two such matrices
 * that share tiles, 16 rows of each, and y = silu(W x) * (V x). */
struct fg_matrix {
    enum fg_dtype type;
    bool gated;
    uint32_t n_rows, k, n_blocks, n_experts;
    uint32_t y_at;    /* the first row's place in a row of y; 0 unless its owner says else */
    uint32_t n_parts; /* 0: there is no such matrix */
    struct fg_matrix_part *parts;
    uint64_t bytes; /* on the device */
};

/* Gives back its parts; it is no matrix then. */
void fg_matrix_finish(struct fg_matrix *m);

enum { FG_TILE_ROWS = 32 };

/* Rows of y that a tile of m gives. */
static inline uint32_t fg_matrix_tile_rows(const struct fg_matrix *m)
{
    return m->gated ? FG_TILE_ROWS / 2 : FG_TILE_ROWS;
}

#endif
