#include "rope_table.h"

#include <math.h>

void fg_rope_frequencies(uint32_t rope_dim, float base, const float *factors, double *inv_freq)
{
    for (uint32_t i = 0; i < rope_dim / 2; i++) {
        inv_freq[i] = pow((double)base, -2.0 * i / rope_dim);
        if (factors)
            inv_freq[i] /= (double)factors[i];
    }
}
