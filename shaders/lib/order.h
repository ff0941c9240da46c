/* Numbers of the numerics contract (docs/numerics.md) that C and GLSL share: changing one changes the
 * order of sums, and so the kernel order version. */
#ifndef FG_SHADERS_LIB_ORDER_H
#define FG_SHADERS_LIB_ORDER_H

#include "../../base/block_tokens.h"

#define FG_C_BLOCK 32u        /* k elements of a weight block */
#define FG_C_SLICE_BLOCKS 4u  /* weight blocks of a slice: 128 k */
#define FG_C_TILE_ROWS 32u    /* rows of a weight tile */
#define FG_C_SEGMENT_TILES 8u /* key tiles of an attention segment: 512 keys */
#define FG_C_NORM_LANES 64u   /* partial sums of a norm */

#endif
