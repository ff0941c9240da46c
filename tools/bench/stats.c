#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int bench_wrong(const char *program, const char *option, const char *text, const char *wanted)
{
    fprintf(stderr, "%s: %s %s: it must be %s\n", program, option, text, wanted);
    return 2;
}

int bench_numerics(const char *program, const char *text, enum fg_numerics *out)
{
    struct fg_err err;
    if (fg_numerics_parse(text, out, &err) == 0)
        return 0;
    fprintf(stderr, "%s: --%s\n", program, err.text);
    return 2;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct bench_stats bench_stats(double *v, uint32_t n)
{
    struct bench_stats s = {0};
    double squares = 0;
    qsort(v, n, sizeof *v, by_size);
    s.median = (v[(n - 1) / 2] + v[n / 2]) / 2;
    for (uint32_t i = 0; i < n; i++)
        s.mean += v[i] / n;
    for (uint32_t i = 0; i < n; i++)
        squares += (v[i] - s.mean) * (v[i] - s.mean);
    s.stddev = n > 1 ? sqrt(squares / (n - 1)) : 0;
    return s;
}
