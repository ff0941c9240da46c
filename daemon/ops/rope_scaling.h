/* How a model's rotary frequencies are stretched for contexts beyond those that it was first
 * trained for. Plain data. */
#ifndef FG_OPS_ROPE_SCALING_H
#define FG_OPS_ROPE_SCALING_H

#include <stdbool.h>
#include <stdint.h>

struct fg_rope_scaling {
    float factor;    /* frequencies are divided by it; 0 as 1 */
    float magnitude; /* multiplies every cos and sin; 0 as 1 */
    bool yarn;       /* high frequencies stay as they are, and the magnitude grows with factor */
    float beta_fast, beta_slow; /* yarn: turns in n_ctx positions above and below which one is high
                                   and low */
    float mix;                  /* yarn: how much of that is applied, usually 1 */
    uint32_t n_ctx;             /* yarn: positions of the first training */
    bool fractional; /* yarn: the ramp between high and low ends where it does, not at whole indices
                      */
};

#endif
