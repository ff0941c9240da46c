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
    FG_Q8_0 = 8,
    FG_BF16 = 30,
};

/* True for the types that weights may have. Any uint32 from a file may be passed. */
bool fg_dtype_known(uint32_t type);
const char *fg_dtype_name(enum fg_dtype type);
/* Elements in a block: 32 for the quantized types, 1 for the others. */
uint32_t fg_dtype_block_elems(enum fg_dtype type);
uint32_t fg_dtype_block_bytes(enum fg_dtype type);
/* Bytes of a row of n elements; 0 when n is not a multiple of the block or the size overflows. */
uint64_t fg_dtype_row_bytes(enum fg_dtype type, uint64_t n);
/* Expands n elements (a multiple of the block) from src (any alignment) to dst. Any thread. */
void fg_dtype_expand(enum fg_dtype type, const void *src, float *dst, uint64_t n);

float fg_f16_to_f32(uint16_t h);
/* Round to nearest, ties to even; overflow to infinity; denormals kept. */
uint16_t fg_f16_from_f32(float f);

#endif
