/* Push constants of matmul.comp and quantize.comp, rows of quantized activations. */
#ifndef FG_SHADERS_MATMUL_PARAMS_H
#define FG_SHADERS_MATMUL_PARAMS_H

#include "../lib/order.h"
#include "../lib/scalars.h"

/* Units of 16 bytes of a row of nb blocks that is quantized for the mode int8 (shaders/matmul/quantize.comp):
 * whole numbers as f32, or as bytes; then the scales of 4 blocks each. */
#define FG_C_WIDE_ROW(nb) ((nb) * 8u + ((nb) + 3u) / 4u)
#define FG_C_BYTE_ROW(nb) ((nb) * 2u + ((nb) + 3u) / 4u)

struct fg_matmul_push {
    FG_ABI_U32 n_tokens; /* rows of x; MoE: unused */
    FG_ABI_U32 n_rows;   /* rows of y from this part (MoE: from one expert) */
    FG_ABI_U32 n_blocks; /* blocks of 32 in k */
    FG_ABI_U32 scale_at; /* uvec4 index of the scale area */
    FG_ABI_U32 ldx4;     /* x row stride in vec4, of the mode int8 in its own units of 16 bytes */
    FG_ABI_U32 ldy;      /* y row stride in floats */
    FG_ABI_U32 y_at;     /* column of y of this part's first row */
    FG_ABI_U32 ldr;      /* residual row stride */
    FG_ABI_U32 residual; /* 1: y = alpha * r + W x */
    FG_ABI_F32 alpha;
    FG_ABI_U32 expert0, n_experts; /* MoE: experts of this part */
    FG_ABI_U32 x_div;    /* MoE: row of x = pair / x_div */
};
FG_SIZE_IS(fg_matmul_push, 52)

struct fg_quantize_push {
    FG_ABI_U32 n_rows;
    FG_ABI_U32 n_blocks; /* blocks of 32 in a row */
    FG_ABI_U32 ldx4;     /* x row stride in vec4 */
};
FG_SIZE_IS(fg_quantize_push, 12)

#endif
