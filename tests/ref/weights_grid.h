/* Blocks of IQ1, IQ2 and IQ3. */
#ifndef FG_REF_WEIGHTS_GRID_H
#define FG_REF_WEIGHTS_GRID_H

#include "weights.h"

bool fg_ref_has_grid(enum fg_dtype type);
/* Part b (0..7) of a block of 256; the grids are the daemon's own tables. */
void fg_ref_load_grid(enum fg_dtype type, const unsigned char *p, size_t b,
                      struct fg_ref_block *out);

#endif
