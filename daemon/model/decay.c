/* Host-made tables of the numerics contract: computed in double, rounded once. */
#include "engine_priv.h"

#include <math.h>

/* ALiBi's slopes for a power of two: 2^(-8 (h+1) / n). */
static double slope_pow2(uint32_t n, uint32_t h)
{
    return exp2(-8.0 * (h + 1) / n);
}

/* For other counts: those of the nearest lower power of two P, then every other one of 2P. */
static double base_slope(uint32_t n_head, uint32_t h)
{
    uint32_t p = 1;
    while (p * 2 <= n_head)
        p *= 2;
    if (h < p)
        return slope_pow2(p, h);
    return slope_pow2(2 * p, 2 * (h - p));
}

void fg_decay_table(const struct fg_hparams *hp, uint32_t layer, float *out)
{
    double depth = hp->n_layer > 1 ? (double)layer / (hp->n_layer - 1) : 0.0;
    for (uint32_t h = 0; h < hp->n_head; h++) {
        double slope = base_slope(hp->n_head, h) * (1.0 - depth + 1e-5);
        for (uint32_t n = 0; n <= FG_CHUNK; n++) {
            float v = (float)exp(-slope * n);
            out[h * (FG_CHUNK + 1) + n] = v < 0x1p-100f ? 0.0f : v;
        }
    }
}

void fg_rope_frequencies(const struct fg_hparams *hp, double *inv_freq)
{
    for (uint32_t i = 0; i < hp->rope_dim / 2; i++) {
        inv_freq[i] = pow((double)hp->rope_freq_base, -2.0 * i / hp->rope_dim);
        if (hp->rope_factors)
            inv_freq[i] /= (double)hp->rope_factors[i];
    }
}
