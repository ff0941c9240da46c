/* Push constants of the shaders of this folder. */
#ifndef FG_SHADERS_BENCH_PARAMS_H
#define FG_SHADERS_BENCH_PARAMS_H

#include "../lib/scalars.h"

struct fg_bench_copy_push {
    FG_ABI_U32 n;     /* uvec4, a multiple of 512 */
    FG_ABI_U32 store; /* 0: only the loads */
    FG_ABI_U32 never; /* a word that does not come up */
};
FG_SIZE_IS(fg_bench_copy_push, 12)

struct fg_bench_madd_push {
    FG_ABI_U32 n; /* rounds */
    FG_ABI_F32 a, b;
};
FG_SIZE_IS(fg_bench_madd_push, 12)

#endif
