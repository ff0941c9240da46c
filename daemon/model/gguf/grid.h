/* Grids: what the indices in blocks of IQ1, IQ2 and IQ3 stand for. */
#ifndef FG_GRID_H
#define FG_GRID_H

#include <stdint.h>

#include "dtype.h"

extern const uint16_t fg_grid_iq1[2048], fg_grid_iq2_xxs[256], fg_grid_iq2_xs[512],
    fg_grid_iq2_s[1024], fg_grid_iq3_xxs[256], fg_grid_iq3_s[512];

/* The grid of a type: n entries of `elems` elements (8, or 4), each a place among the type's values
 * in 16 / elems bits, the first one in the lowest. n is 0 where the type has none. */
struct fg_grid {
    const uint16_t *entries;
    uint32_t n, elems;
};

struct fg_grid fg_grid_of(enum fg_dtype type);
/* Entry i with 4 bits an element. */
uint32_t fg_grid_nibbles(const struct fg_grid *g, uint32_t i);
/* Expands one block of such a type. */
void fg_grid_expand(enum fg_dtype type, const unsigned char *block, float dst[256]);

#endif
