/* The known-answer self-test: kernels on fixed inputs, whose output hashes are committed. A device
 * that gives them is canonical: its caches are every other canonical device's caches. */
#ifndef FG_SELF_TEST_H
#define FG_SELF_TEST_H

#include "ops/ops.h"

struct fg_self_test {
    bool canonical; /* a portable mode, and the known answers */
    /* A hash of the order of the kernels' sums, the mode, the type of KV; of one that is not
     * canonical, of device and driver as well. */
    uint8_t numerics_id[16];
};
/* Runs it in o's mode. FG_EUNSUPPORTED (a token's product depends on what is beside it: no cache is
 * possible), FG_ENOMEM, FG_EDEVICE, FG_EDEVICELOST. */
int fg_self_test_run(struct fg_ops *o, struct fg_self_test *out, struct fg_err *err);

/* Its inputs and the committed XXH3-64 of its outputs: tests compute these from the plain C
 * reference as well. */
enum {
    FG_SELF_TEST_INPUTS =
        4096, /* bit patterns; six results each, as self_test/canon.comp has them */
    FG_SELF_TEST_ROWS = 96,
    FG_SELF_TEST_K = 352, /* 11 blocks: a partial slice */
    FG_SELF_TEST_TOKENS = 5,
};
struct fg_self_test_hashes {
    uint64_t canon, q8_0[2], q4_1[2]; /* the products, by portable mode: y [tokens][rows] */
};
extern const struct fg_self_test_hashes fg_self_test_known;
void fg_self_test_canon_inputs(uint32_t bits[FG_SELF_TEST_INPUTS]);
/* raw: [rows] raw rows of k elements, a quantized type; x: [tokens][k]. */
void fg_self_test_matmul_inputs(enum fg_dtype type, uint8_t *raw, float *x);

#endif
