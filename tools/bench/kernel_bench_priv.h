/* What the files behind kernel_bench.h share. */
#ifndef FG_KERNEL_BENCH_PRIV_H
#define FG_KERNEL_BENCH_PRIV_H

#include "kernel_bench.h"
#include "ops/delta_rule.h"
#include "ops/matmul.h"
#include "ops/ops.h"
#include "ops/rope_kv.h"
#include "ops/step_tables.h"

enum fg_kernel_kind {
    FG_KERNEL_MATMUL,
    FG_KERNEL_MOE,
    FG_KERNEL_SOFTMAX,
    FG_KERNEL_LIGHTNING,
    FG_KERNEL_NORM,
    FG_KERNEL_GATE,
    FG_KERNEL_DELTA,
    FG_KERNEL_DELTA_GATE,
};

struct fg_kernel_case {
    enum fg_kernel_kind kind;
    char name[32]; /* of the tensor; "" for built-in shapes */
    enum fg_dtype type;
    uint32_t n_rows, k, n_experts; /* of the matrix */
    uint32_t x_div;                /* MoE: rows of y for a row of x */
    uint32_t n_tokens, depth;
};

enum {
    FG_KERNEL_LAYERS = 8, /* of each kind of attention, taken in turn */
    FG_KERNEL_TOKENS = 64,
    FG_KERNEL_MAX_CASES = 256,
    FG_KERNEL_MAX_COPIES = 64,
};

/* Widths of the cases, of a model or built in. */
struct fg_kernel_widths {
    uint32_t n_embd;
    struct fg_heads heads;                   /* n_head 0: no softmax attention */
    uint32_t lightning_heads, lightning_dim; /* 0: no lightning attention */
    struct fg_delta_shape delta;             /* n_head_v 0: no gated delta rule */
    uint32_t n_expert, n_used, n_ff;         /* 0: no experts */
};

/* A layer of each kind of attention; what the widths lack is NULL. */
struct fg_kernel_layer {
    struct fg_buffer *kv, *state, *k_rows, *v_rows;
    struct fg_buffer *delta_state, *tail, *delta_k, *u_rows, *log_decay;
};

struct fg_kernel_bench {
    struct fg_kernel_bench_options opt;
    struct fg_device *device;
    struct fg_cmd *cmd;
    struct fg_ops ops;
    struct fg_kernel_widths widths;
    struct fg_kernel_layer layers[FG_KERNEL_LAYERS];
    struct fg_buffer *noise;  /* host; made-up words */
    struct fg_buffer *floats; /* host; made-up f32 of -1 to 0, where sums must stay what they are */
    /* Rows of FG_KERNEL_TOKENS tokens; `wide` is the widest row of weights of a norm. */
    struct fg_buffer *wide, *x, *n, *qkv, *rotated, *attn, *gate, *gated, *partial, *decay;
    struct fg_buffer *experts, *pairs, *pair_tiles;
    struct fg_buffer *delta_rows, *delta_taps, *delta_decay, *delta_q, *delta_v, *system, *strength;
    struct fg_step_tables tables;
    struct fg_kernel_case cases[FG_KERNEL_MAX_CASES];
    uint32_t n_cases;
};

/* kernel_bench_room.c: the buffers of b->widths. FG_ENOMEM, FG_EDEVICE. */
int fg_kernel_bench_make_room(struct fg_kernel_bench *b, struct fg_err *err);
void fg_kernel_bench_free_room(struct fg_kernel_bench *b);
uint64_t fg_kernel_page_bytes(const struct fg_kernel_bench *b);
uint64_t fg_kernel_state_bytes(const struct fg_kernel_bench *b);
uint64_t fg_kernel_delta_state_bytes(const struct fg_kernel_bench *b);
/* Fills the tables as for a sequence of `depth` tokens that gets n more; one round at most. */
void fg_kernel_bench_stand_at(struct fg_kernel_bench *b, uint32_t depth, uint32_t n,
                              struct fg_step_round *round, struct fg_step_shape *shape);

/* Records dispatch number i of what is timed, with the barrier behind it. */
typedef void fg_kernel_record(void *ctx, uint32_t i);
/* Median seconds of one dispatch. */
int fg_kernel_bench_time(struct fg_kernel_bench *b, fg_kernel_record *record, void *ctx,
                         double *seconds, struct fg_err *err);
/* Fills dst with made-up words: as f16, bf16 and f32 positive, normal and below 1. */
int fg_kernel_bench_fill(struct fg_kernel_bench *b, struct fg_buffer *dst, struct fg_err *err);

#endif
