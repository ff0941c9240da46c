/* What the files behind kernel_bench.h share. */
#ifndef FG_KERNEL_BENCH_PRIV_H
#define FG_KERNEL_BENCH_PRIV_H

#include "model/engine_priv.h"
#include "kernel_bench.h"

enum fg_kernel_kind {
    FG_KERNEL_MATMUL,
    FG_KERNEL_MOE,
    FG_KERNEL_SOFTMAX,
    FG_KERNEL_LIGHTNING,
    FG_KERNEL_NORM,
    FG_KERNEL_GATE,
};

struct fg_kernel_case {
    enum fg_kernel_kind kind;
    char name[32]; /* of the tensor; "" for built-in shapes */
    enum fg_dtype type;
    uint32_t n_rows, k, n_experts; /* of the matrix */
    uint32_t x_div;                /* MoE: rows of y for a row of x */
    uint32_t n_tokens, depth;
};

enum { FG_KERNEL_LAYERS = 8, FG_KERNEL_MAX_CASES = 256, FG_KERNEL_MAX_COPIES = 64 };

struct fg_kernel_bench {
    struct fg_kernel_bench_options opt;
    struct fg_device *device;
    struct fg_engine *engine; /* bare: layers of each kind, no matrices */
    struct fg_buffer *norm;   /* [widest row] */
    struct fg_buffer *noise;  /* host; made-up words */
    struct fg_seq *seq;       /* stands at whatever length a case wants */
    struct fg_kernel_case cases[FG_KERNEL_MAX_CASES];
    uint32_t n_cases;
    uint32_t n_kinds[2], layers[2][FG_KERNEL_LAYERS]; /* softmax, lightning */
};

/* Records dispatch number i of what is timed, with the barrier behind it. */
typedef void fg_kernel_record(void *ctx, uint32_t i);
/* Median seconds of one dispatch. */
int fg_kernel_bench_time(struct fg_kernel_bench *b, fg_kernel_record *record, void *ctx,
                         double *seconds, struct fg_err *err);
/* Fills dst with made-up words: as f16, bf16 and f32 positive, normal and below 1. */
int fg_kernel_bench_fill(struct fg_kernel_bench *b, struct fg_buffer *dst, struct fg_err *err);

#endif
