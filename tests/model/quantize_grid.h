/* gguf_quantize() for types with a grid. */
#ifndef QUANTIZE_GRID_H
#define QUANTIZE_GRID_H

#include <stdint.h>

#include "model/gguf/dtype.h"

/* 256 elements to a block, whose bytes are 0. */
void gguf_quantize_grid(enum fg_dtype type, const float *src, uint8_t *dst);

#endif
