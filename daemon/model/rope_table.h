/* The frequencies of the rotary table: in double, from the host. */
#ifndef FG_ROPE_TABLE_H
#define FG_ROPE_TABLE_H

#include <stdint.h>

#include "ops/rope_scaling.h"

/* inv_freq[i] = base^(-2 i / rope_dim), i < rope_dim / 2, each divided by its factor unless factors
 * is NULL, and scaled as docs/numerics.md has it. Returns what multiplies cos and sin. */
double fg_rope_frequencies(uint32_t rope_dim, float base, const float *factors,
                           const struct fg_rope_scaling *s, double *inv_freq);

#endif
