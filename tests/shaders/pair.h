/* A small random model twice: in the engine on the device, and as the plain C reference. */
#ifndef PAIR_H
#define PAIR_H

#include "model.h"
#include "model/engine.h"
#include "tiny_model.h"

/* The device that FG_TEST_DEVICE selects, or the default one; cmocka's group setup and teardown. */
int pair_open_device(void **state);
int pair_close_device(void **state);

struct pair {
    struct fg_gguf *g;
    struct fg_engine *engine;
    struct fg_engine_info info;
    struct fg_ref_model *ref;
    uint32_t vocab;
};

/* Of a writer, which it destroys, or of a file of tests/vectors. */
void pair_init(struct pair *p, struct fg_device *d, struct gguf_writer *w,
               const struct fg_engine_options *opt);
void pair_init_file(struct pair *p, struct fg_device *d, const char *name,
                    const struct fg_engine_options *opt);
void pair_finish(struct pair *p);
/* 4 sequences, 640 tokens, steps of 128, 3 saved states. */
struct fg_engine_options pair_options(enum fg_kv_type kv);

/* n random tokens, freed by the caller. */
int32_t *pair_tokens(const struct pair *p, uint32_t n, uint64_t seed);
/* The reference's logits of all n tokens, from an empty sequence; freed by the caller. */
float *pair_reference(const struct pair *p, const int32_t *tokens, uint32_t n);

/* A sequence on its way through `tokens`, whose logits must be `want`. */
struct run {
    const struct pair *p;
    const char *what;
    struct fg_seq *seq;
    const int32_t *tokens;
    const float *want;
    uint32_t n; /* tokens in all */
    float *got; /* of the step under way */
};

void run_init(struct run *r, const struct pair *p, const char *what, const int32_t *tokens,
              const float *want, uint32_t n);
void run_finish(struct run *r);
uint32_t run_left(const struct run *r);
/* One step of a sequence, or of several at once (counts[i] tokens of runs[i], none when 0), each
 * with all its logits, checked. */
void run_step(struct run *r, uint32_t n);
void run_steps(struct run *runs, const uint32_t *counts, uint32_t n_runs);
/* Steps of `split` tokens up to the position `end`. */
void run_until(struct run *r, uint32_t end, uint32_t split);

#endif
