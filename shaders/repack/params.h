/* Push constants of repack.comp. */
#ifndef FG_SHADERS_REPACK_PARAMS_H
#define FG_SHADERS_REPACK_PARAMS_H

#include "../lib/order.h"
#include "../lib/scalars.h"

struct fg_repack_push {
    FG_ABI_U32 k;        /* row length, elements */
    FG_ABI_U32 row_bytes; /* of the raw rows */
    FG_ABI_U32 n_rows;   /* raw rows in this upload, all of one matrix (expert) */
    FG_ABI_U32 row0;     /* their first row, a multiple of 32 */
    FG_ABI_U32 tile0;    /* tile of row 0 of the matrix in the destination */
    FG_ABI_U32 n_blocks; /* blocks of 32 in a row, rounded up */
    FG_ABI_U32 scale_at; /* uvec4 index of the scale area in the destination */
    FG_ABI_U32 src_at;   /* byte offset of the first row in the source */
    FG_ABI_U32 tile_rows; /* rows that go to one tile: 32, or 16 of each of two matrices */
    FG_ABI_U32 slot0;    /* where in a tile they begin: 0, or 16 */
    FG_ABI_F32 scale;    /* NVFP4: what the rows' elements are multiplied by, * 2^-10 */
};
FG_SIZE_IS(fg_repack_push, 44)

#endif
