/* fulgur-bench's subcommands: each parses its own arguments (argv[0] is its name) and returns the
 * exit code: 0, 1 for a failure, 2 for wrong usage, after a line on standard error. */
#ifndef FG_BENCH_H
#define FG_BENCH_H

#include <stdint.h>

#include "ops/numerics.h"

/* Says that `text` is no value for `option`, and what would be; returns 2. */
int bench_wrong(const char *program, const char *option, const char *text, const char *wanted);

/* Sets *out, or says what would be a value for --numerics and returns 2. */
int bench_numerics(const char *program, const char *text, enum fg_numerics *out);

struct bench_stats {
    double mean, median;
    double stddev; /* of the sample (n - 1); 0 for one value */
};
/* Of n values, at least one, which it sorts. */
struct bench_stats bench_stats(double *v, uint32_t n);

/* Prefill and decode rates of a model, alone or beside llama.cpp's: what fulgur-bench does when no
 * other command is named. `program`: how to run this program again. */
int bench_rates(const char *program, int argc, char **argv);
/* Each kernel alone, against the rates of the device. */
int bench_kernels(int argc, char **argv);
/* Restore of a stored prefix against its prefill, and its rate against memcpy's. */
int bench_restore(int argc, char **argv);
/* Large states written to a store, restored and evicted: rates, and whether it ages. */
int bench_store(int argc, char **argv);
/* Answers that are held to a form, beside free ones. */
int bench_forms(int argc, char **argv);

#endif
