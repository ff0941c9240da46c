/* The tensors that a block is made of. The one table that checks, plans, loads and tests walk. */
#ifndef FG_TENSOR_TABLE_H
#define FG_TENSOR_TABLE_H

#include <stdbool.h>
#include <stdint.h>

enum { FG_BLOCK_TENSORS = 16, FG_BLOCK_MATRICES = 8, FG_BLOCK_VECTORS = 8 };

/* Whether a matrix becomes one with that of the row before, where both are of one type. */
enum fg_tensor_join {
    FG_JOIN_NONE,
    FG_JOIN_BELOW, /* its rows below the other's, if these fill whole tiles; else y goes on there */
    FG_JOIN_GATED, /* silu(the other's) * its, in one product */
    FG_JOIN_HALVES, /* no join: the first half of its own rows is such a gate of the second */
};

struct fg_tensor_row {
    const char *name; /* without "blk.N." and ".weight" */
    bool bare;        /* there is no ".weight" */
    bool vector;      /* F32, and stays so: of one dimension, or few columns */
    uint64_t ne[3];   /* 1 where unused */
    enum fg_tensor_join join;
    uint32_t slot; /* among the block's matrices or vectors; FG_NORM_SLOT: its norm */
};
/* FG_POST_SLOT: of the norm of a block's result, among its vectors. */
enum { FG_NORM_SLOT = 255, FG_POST_SLOT = FG_BLOCK_VECTORS - 1 };

struct fg_tensor_table {
    struct fg_tensor_row rows[FG_BLOCK_TENSORS];
    uint32_t n;
};

/* Appends a row; there are at most FG_BLOCK_TENSORS. The result may be changed. */
struct fg_tensor_row *fg_table_matrix(struct fg_tensor_table *t, uint32_t slot, const char *name,
                                      uint64_t k, uint64_t rows);
struct fg_tensor_row *fg_table_vector(struct fg_tensor_table *t, uint32_t slot, const char *name,
                                      uint64_t n);
/* "blk.3.attn_q.weight"; of no layer, < 0: "output.weight". */
enum { FG_TENSOR_NAME = 96 };
void fg_tensor_name(char out[FG_TENSOR_NAME], int layer, const char *name);
/* That of a row, which may have none of the ending. */
void fg_tensor_row_name(char out[FG_TENSOR_NAME], int layer, const struct fg_tensor_row *row);

#endif
