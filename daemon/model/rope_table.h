/* The frequencies of the rotary table: in double, from the host. */
#ifndef FG_ROPE_TABLE_H
#define FG_ROPE_TABLE_H

#include <stdint.h>

/* inv_freq[i] = base^(-2 i / rope_dim), i < rope_dim / 2, each divided by its factor unless factors
 * is NULL. */
void fg_rope_frequencies(uint32_t rope_dim, float base, const float *factors, double *inv_freq);

#endif
