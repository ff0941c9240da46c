/* Tensor element types: GGUF numbers, block geometry, and the plain expansion to f32 that shaders
 * are measured against. */
#ifndef FG_DTYPE_H
#define FG_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

/* The values are GGUF's (ggml_type). */
enum fg_dtype {
    FG_F32 = 0,
    FG_F16 = 1,
    FG_Q4_0 = 2,
    FG_Q4_1 = 3,
    FG_Q5_0 = 6,
    FG_Q5_1 = 7,
    FG_Q8_0 = 8,
    FG_Q2_K = 10,
    FG_Q3_K = 11,
    FG_Q4_K = 12,
    FG_Q5_K = 13,
    FG_Q6_K = 14,
    FG_IQ2_XXS = 16,
    FG_IQ2_XS = 17,
    FG_IQ3_XXS = 18,
    FG_IQ1_S = 19,
    FG_IQ4_NL = 20,
    FG_IQ3_S = 21,
    FG_IQ2_S = 22,
    FG_IQ4_XS = 23,
    FG_IQ1_M = 29,
    FG_BF16 = 30,
    FG_TQ1_0 = 34,
    FG_TQ2_0 = 35,
    FG_MXFP4 = 39,
    FG_NVFP4 = 40,
};

enum { FG_DTYPE_END = 41 }; /* above every type */

enum { FG_DTYPE_MAX_ELEMS = 256 }; /* of a block */

/* True for the types that weights may have. Any uint32 from a file may be passed. */
bool fg_dtype_known(uint32_t type);
const char *fg_dtype_name(enum fg_dtype type);
/* Elements in a block: 256 for the K-quants, IQ but IQ4_NL and TQ, 64 for NVFP4, 32 for the other
 * quantized types, 1 for the rest. */
uint32_t fg_dtype_block_elems(enum fg_dtype type);
uint32_t fg_dtype_block_bytes(enum fg_dtype type);
/* Bytes of a row of n elements; 0 when n is not a multiple of the block or the size overflows. */
uint64_t fg_dtype_row_bytes(enum fg_dtype type, uint64_t n);
/* Expands n elements (of NVFP4 without its tensor's scale) (a multiple of the block) from src (any
 * alignment) to dst. Every value is rounded once at most (docs/numerics.md says why). Any thread.
 */
void fg_dtype_expand(enum fg_dtype type, const void *src, float *dst, uint64_t n);

float fg_f16_to_f32(uint16_t h);
/* Round to nearest, ties to even; overflow to infinity; denormals kept. */
uint16_t fg_f16_from_f32(float f);

#endif
