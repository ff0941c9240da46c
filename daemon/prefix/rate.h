/* Rate: how long work takes on this device, measured as it goes.
 *
 * Seconds are taken as a * tokens + b * positions: most of a prefill costs the same for every
 * token, softmax attention grows with the token's position. a and b follow from least squares over
 * what was measured so far, the older measurements fading. One thread. */
#ifndef FG_RATE_H
#define FG_RATE_H

#include <stdint.h>

struct fg_rate {
    double tt, tp, pp, ts, ps; /* faded sums of products: tokens, positions, seconds */
};

/* The sum of the positions from .. to-1. */
double fg_rate_positions(uint32_t from, uint32_t to);
/* So many tokens, whose positions add up to `positions`, took `seconds`. */
void fg_rate_add(struct fg_rate *r, double tokens, double positions, double seconds);
/* Seconds that tokens from .. to-1 are expected to take; 0 before anything was measured. */
double fg_rate_seconds(const struct fg_rate *r, uint32_t from, uint32_t to);

#endif
