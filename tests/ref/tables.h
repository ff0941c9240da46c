/* The tables and constants that the host makes in double and rounds to f32 once (docs/numerics.md).
 * Pure functions, any thread. */
#ifndef FG_REF_TABLES_H
#define FG_REF_TABLES_H

#include <stdint.h>

#include "ops/rope_scaling.h"

/* cos_sin[rope_dim / 2][2] of position `pos`: angle = pos * (base^(-2i / rope_dim) / factors[i]),
 * scaled; factors may be NULL: no division. */
void fg_ref_rope_table(uint32_t pos, uint32_t rope_dim, float base, const float *factors,
                       const struct fg_rope_scaling *scaling, float *cos_sin);
/* The decay rate of head h of n_head in layer l of n_layer: s_h * ((1 - l / (n_layer - 1)) + 1e-5).
 */
double fg_ref_slope(uint32_t head, uint32_t n_head, uint32_t layer, uint32_t n_layer);
/* decay[n] = e^(-slope n), n = 0..64; below 2^-100: 0. */
void fg_ref_decay_table(double slope, float decay[65]);
/* 1 / sqrt(head_dim) */
float fg_ref_attend_scale(uint32_t head_dim);

#endif
