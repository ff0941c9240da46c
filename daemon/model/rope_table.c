#include "rope_table.h"

#include <math.h>

/* The index of the frequency that turns `turns` times in n_ctx positions; need not be whole. */
static double index_of(const struct fg_rope_scaling *s, uint32_t rope_dim, float base, float turns)
{
    const double two_pi = 6.283185307179586;

    return rope_dim * log(s->n_ctx / (turns * two_pi)) / (2 * log((double)base));
}

/* The part of frequency i that stays as it is: 1 up to `low`, 0 from `high`. */
static double kept(const struct fg_rope_scaling *s, double low, double high, uint32_t i)
{
    double at = (i - low) / fmax(0.001, high - low);

    return s->mix * (1 - fmin(1, fmax(0, at)));
}

double fg_rope_frequencies(uint32_t rope_dim, float base, const float *factors,
                           const struct fg_rope_scaling *s, double *inv_freq)
{
    double factor = s->factor > 0 ? (double)s->factor : 1, low = 0, high = 0;
    double magnitude = s->magnitude > 0 ? (double)s->magnitude : 1;

    if (s->yarn) {
        low = index_of(s, rope_dim, base, s->beta_fast);
        high = index_of(s, rope_dim, base, s->beta_slow);
        low = fmax(0, s->fractional ? low : floor(low));
        high = fmin(rope_dim - 1.0, s->fractional ? high : ceil(high));
    }
    for (uint32_t i = 0; i < rope_dim / 2; i++) {
        double keep = s->yarn ? kept(s, low, high, i) : 0;

        inv_freq[i] = pow((double)base, -2.0 * i / rope_dim);
        if (factors)
            inv_freq[i] /= (double)factors[i];
        inv_freq[i] = inv_freq[i] / factor * (1 - keep) + inv_freq[i] * keep;
    }
    return s->yarn && factor > 1 ? magnitude * (1 + 0.1 * log(factor)) : magnitude;
}
