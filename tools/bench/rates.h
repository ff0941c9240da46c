/* Prefill and decode rates: the tests, their measurement, and what is printed. */
#ifndef FG_RATES_H
#define FG_RATES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench.h"
#include "model/engine.h"

enum { RATES_MAX_TESTS = 256, RATES_MAX_REPS = 1000 };

/* Prefill of n_prompt tokens or decode of n_gen (the other is 0) behind n_depth tokens. */
struct rates_test {
    uint32_t n_prompt, n_gen, n_depth;
    double *samples;       /* [reps] tokens a second; ascending once `ts` is set */
    struct bench_stats ts; /* tokens a second */
};

enum rates_format { RATES_TABLE, RATES_CSV, RATES_JSON };

struct rates_options {
    const char *model, *device;          /* device: or NULL */
    const char *prompts, *gens, *depths; /* lists N[,N...] */
    const char *llama_dir, *llama_args;  /* or NULL */
    const char *cache_dir; /* of a daemon, whose tilings and compiled kernels are used; or NULL */
    enum rates_format format;
    enum fg_kv_type kv;
    enum fg_numerics numerics;
    uint32_t reps;
};

struct rates {
    struct rates_options opt;
    struct rates_test tests[RATES_MAX_TESTS];
    uint32_t n_tests;
    char device[256], driver[256]; /* set by rates_measure() */
};

/* Makes the tests of r->opt: at each depth the prompts, then the decodes, in the lists' order; 0 in
 * `prompts` and `gens` makes none. End with rates_finish(), also after a failure. FG_EINVAL (a list
 * that is none, no test, too many), FG_ENOMEM. */
int rates_init(struct rates *r, const struct rates_options *opt, struct fg_err *err);
void rates_finish(struct rates *r);
/* "prefill 512" or "decode 32 at 4096". Returns buf. */
const char *rates_test_name(const struct rates_test *t, char buf[64]);
/* Tokens of the longest test, its depth included: the context that is needed. */
uint32_t rates_longest(const struct rates *r);

/* Runs every test opt.reps times after a warm-up and sets samples and ts. The model is loaded with
 * a context of rates_longest(). Tokens of a depth are computed once: their whole chunks stay on the
 * device, and a test begins with them and what the depth has beyond. Errors of the engine. */
int rates_measure(struct rates *r, struct fg_err *err);
/* Writes the results in opt.format. */
void rates_print(const struct rates *r, FILE *out);

#endif
