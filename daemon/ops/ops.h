/* The operations' context: where they are recorded, and how the device wants them.
 *
 * An operation is a file of this folder: a struct of its operands, and a function that records it.
 * What an operation reads must have been written before the last fg_cmd_barrier(); a function that
 * ends with a barrier says so. Failures stick to the commands (fg_cmd_fail()). One thread. */
#ifndef FG_OPS_H
#define FG_OPS_H

#include "gpu/command.h"
#include "tiling.h"

enum fg_kv_type { FG_KV_F16, FG_KV_F32 };

enum {
    FG_TUNED_MOST = 32, /* weight types, twice */
    FG_KERNEL_NAME = 48,
    FG_KERNEL_SLOTS = 512, /* a power of two */
};

/* What selects a kernel. The shader's name is put together once, the first time that it is used. */
struct fg_kernel_key {
    const char *base; /* a string literal; the name itself where write_name is NULL */
    void (*write_name)(const struct fg_kernel_key *k, char name[FG_KERNEL_NAME]);
    uint32_t variant; /* what write_name makes more of */
    uint32_t spec[FG_SPEC_COUNT];
};

struct fg_kernel_slot {
    struct fg_kernel_key key;
    struct fg_pipeline *pipeline; /* NULL: free */
};

struct fg_ops {
    struct fg_device *device;
    struct fg_cmd *cmd; /* where they are recorded; may be changed between two */
    enum fg_numerics numerics;
    enum fg_kv_type kv_type;
    bool int_dot;               /* the mode int8 by integer dot products, rather than by f32 */
    uint32_t native_f16;        /* 1: unpackHalf2x16 expands every f16 as it must */
    uint32_t attend_spread;     /* see struct fg_usual_tilings */
    struct fg_tiling one, many; /* where `tuned` says nothing */
    struct fg_tuned tuned[FG_TUNED_MOST];
    uint32_t n_tuned;
    struct fg_kernel_slot kernels[FG_KERNEL_SLOTS]; /* by a hash of their keys */
    uint32_t n_kernels;
};

/* Of ->device, ->cmd, ->numerics and ->kv_type: the rest. Probes unpackHalf2x16, by a submission.
 * FG_EDEVICE, FG_EDEVICELOST, FG_ENOMEM. */
int fg_ops_init(struct fg_ops *o, struct fg_err *err);

/* The kernel, or NULL where it cannot be made, which fails the commands. */
struct fg_pipeline *fg_ops_kernel(struct fg_ops *o, const struct fg_kernel_key *key);

/* One dispatch. */
struct fg_ops_call {
    const struct fg_bind *binds;
    uint32_t n_binds, push_bytes;
    const void *push;
    uint32_t groups[3];
};
/* A kernel that cannot be made fails the commands. */
void fg_ops_dispatch(struct fg_ops *o, const struct fg_kernel_key *key,
                     const struct fg_ops_call *c);
/* Fails the commands with FG_EINVAL and a line that begins with the operation's name. */
void fg_ops_refuse(struct fg_ops *o, const char *operation, const char *why);

/* "q8_0", as it stands in the names of shaders. */
const char *fg_type_suffix(enum fg_dtype type);

static inline uint32_t fg_round_up(uint32_t n, uint32_t to)
{
    return (n + to - 1) / to * to;
}

#endif
