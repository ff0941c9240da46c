#include "tables.h"

#include "canon.h"
#include "ops.h"

#include <math.h>

void fg_ref_rope_table(uint32_t pos, uint32_t rope_dim, float base, const float *factors,
                       float *cos_sin)
{
    for (uint32_t i = 0; i < rope_dim / 2; i++) {
        double freq = pow((double)base, -2.0 * i / rope_dim);

        if (factors)
            freq = freq / (double)factors[i];
        cos_sin[2 * i] = (float)cos(pos * freq);
        cos_sin[2 * i + 1] = (float)sin(pos * freq);
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
