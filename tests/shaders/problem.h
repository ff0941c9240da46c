/* A matrix product with inputs and the reference's results, for tests that run it in many variants
 * of the shader. */
#ifndef PROBLEM_H
#define PROBLEM_H

#include "ops/view.h"
#include "variants.h"

enum { COUNTS = 7, MOST_TOKENS = 64 };

/* One matrix with its inputs, and what must come of them. */
struct problem {
    enum fg_dtype type;
    uint32_t rows, k, ldx, ldy, ldr;
    float alpha;
    void *raw;
    float *want[2]; /* [MOST_TOKENS][rows]: without residual, with */
    struct fg_matrix m;
    struct fg_buffer *x, *residual, *y[COUNTS];
    struct fg_quantized_room quantized;
};

/* Random weights of `type`, random x and residual, and results in the mode of lab->ops. The
 * matrix m is the caller's to upload. */
void problem_init(struct problem *p, struct lab *lab, enum fg_dtype type, uint32_t rows, uint32_t k,
                  uint64_t *seed);
/* Makes it a gated one, without a residual: returns the second matrix, random, for the caller to
 * free(). */
void *problem_gate(struct problem *p, struct lab *lab, uint64_t *seed);
void problem_finish(struct problem *p);
/* The first n_counts token counts (1, 2, 3, 4, 5, 17, 64) with one variant. */
void problem_check(struct problem *p, struct lab *lab, const struct fg_tiling *t, bool residual,
                   int n_counts);
/* All n_rows x n_ks shapes of a type (those that it allows) in every variant, or where few shapes
 * will do in every second one; rows up to 200. */
void problem_check_type(struct lab *lab, enum fg_dtype type, const uint32_t *rows, size_t n_rows,
                        const uint32_t *ks, size_t n_ks);
/* The default tilings and the found way to expand f16, for the next test. */
void problem_reset(struct lab *lab);

#endif
