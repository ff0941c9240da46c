#include "tables.h"

#include "canon.h"
#include "ops.h"

#include <math.h>

/* YaRN's part of frequency i that is not divided: a ramp between two indices, usually whole, those
 * of the frequencies that turn beta_fast and beta_slow times. */
static double yarn_keeps(const struct fg_rope_scaling *s, uint32_t rope_dim, float base, uint32_t i)
{
    const double two_pi = 6.283185307179586, log_base = log((double)base);
    double low = rope_dim * log(s->n_ctx / (s->beta_fast * two_pi)) / (2 * log_base);
    double high = rope_dim * log(s->n_ctx / (s->beta_slow * two_pi)) / (2 * log_base), ramp;

    if (!s->fractional) {
        low = floor(low);
        high = ceil(high);
    }
    low = low < 0 ? 0 : low;
    high = high > rope_dim - 1.0 ? rope_dim - 1.0 : high;
    ramp = (i - low) / (high - low < 0.001 ? 0.001 : high - low);
    ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
    return s->mix * (1 - ramp);
}

void fg_ref_rope_table(uint32_t pos, uint32_t rope_dim, float base, const float *factors,
                       const struct fg_rope_scaling *scaling, float *cos_sin)
{
    double factor = scaling->factor == 0 ? 1 : (double)scaling->factor;
    double magnitude = scaling->magnitude == 0 ? 1 : (double)scaling->magnitude;

    if (scaling->yarn && factor > 1)
        magnitude = magnitude * (1 + 0.1 * log(factor));
    for (uint32_t i = 0; i < rope_dim / 2; i++) {
        double freq = pow((double)base, -2.0 * i / rope_dim), keep = 0;

        if (factors)
            freq = freq / (double)factors[i];
        if (scaling->yarn)
            keep = yarn_keeps(scaling, rope_dim, base, i);
        freq = freq / factor * (1 - keep) + freq * keep;
        cos_sin[2 * i] = (float)(magnitude * cos(pos * freq));
        cos_sin[2 * i + 1] = (float)(magnitude * sin(pos * freq));
    }
}

/* ALiBi's: 2^(-8 (h + 1) / H) for a power of two; else those of the power of two below, then every
 * other one of twice that. */
static double head_slope(uint32_t head, uint32_t n_head)
{
    uint32_t power = 1;

    while (power <= n_head / 2)
        power *= 2;
    if (head < power)
        return exp2(-8.0 * (head + 1) / power);
    return exp2(-8.0 * (2.0 * (head - power) + 1) / (2.0 * power));
}

double fg_ref_slope(uint32_t head, uint32_t n_head, uint32_t layer, uint32_t n_layer)
{
    double depth = n_layer > 1 ? (double)layer / (n_layer - 1) : 0;

    return head_slope(head, n_head) * ((1.0 - depth) + 1e-5);
}

void fg_ref_decay_table(double slope, float decay[65])
{
    for (int n = 0; n <= FG_REF_CHUNK; n++)
        decay[n] = fg_ref_flush((float)exp(-slope * n));
}

float fg_ref_attend_scale(uint32_t head_dim)
{
    return (float)(1.0 / sqrt((double)head_dim));
}
