/* Single kernels, timed on a device, and the rates that bound them, measured on the
 * same device in the same run: the roofline.
 *
 * A case is recorded with the functions that steps are recorded with, a barrier after each dispatch
 * as in a step, often enough for the wanted duration; a time is the wall clock's from submission to
 * completion over the number of dispatches. Weights and activations are made-up numbers. Weight
 * matrices are held several times and taken in turn, so that a cache does not answer for the
 * memory; KV pages and states lie in several layers, for the same reason. One thread. */
#ifndef FG_KERNEL_BENCH_H
#define FG_KERNEL_BENCH_H

#include "model/gguf/gguf.h"
#include "ops/ops.h"

struct fg_kernel_bench;

struct fg_kernel_bench_options {
    enum fg_kv_type kv_type;
    uint32_t reps;         /* timed submissions of a case, 1..FG_KERNEL_BENCH_MAX_REPS */
    double seconds;        /* least duration of one, where one dispatch does not last longer */
    uint64_t copies_bytes; /* what the copies of one matrix take together, one at least */
    uint32_t depths[2];    /* tokens before those of softmax attention, multiples of 64 */
};

enum { FG_KERNEL_BENCH_MAX_REPS = 100 };

/* g: the model whose matrices and widths are used, of which nothing is uploaded; NULL: 4096 x 4096
 * in every weight type there is, 32 heads x 128 over 8 KV heads. g and d must outlive it.
 * FG_EINVAL (options), FG_ENOMEM, FG_EDEVICE; of g: errors of fg_hparams_init(). */
int fg_kernel_bench_create(const struct fg_kernel_bench_options *opt, struct fg_device *d,
                           const struct fg_gguf *g, struct fg_kernel_bench **out,
                           struct fg_err *err);
void fg_kernel_bench_destroy(struct fg_kernel_bench *b); /* NULL is fine */

/* Per second; 0 where the device's kernels do not use it. */
struct fg_kernel_roof {
    double load, load_texel; /* bytes read, nothing written */
    double copy, copy_texel; /* bytes read and bytes written, together */
    double madd;             /* f32 multiplications and additions, each rounded */
};
/* FG_EDEVICE, FG_ENOMEM. */
int fg_kernel_bench_roof(struct fg_kernel_bench *b, struct fg_kernel_roof *out, struct fg_err *err);

struct fg_kernel_time {
    char kernel[48], shape[64];
    double seconds; /* of one dispatch, the median */
    double bytes;   /* that it must read and write at least, each once */
    double flops;   /* f32 multiplications and additions of its formula */
    bool texel;     /* it loads through texel buffers */
};
uint32_t fg_kernel_bench_count(const struct fg_kernel_bench *b);
/* Names case i < count: the kernel and shape of *out. */
void fg_kernel_bench_name(const struct fg_kernel_bench *b, uint32_t i, struct fg_kernel_time *out);
/* Times it. FG_EDEVICE, FG_ENOMEM. */
int fg_kernel_bench_run(struct fg_kernel_bench *b, uint32_t i, struct fg_kernel_time *out,
                        struct fg_err *err);

#endif
