/* Operands of operations: where rows of numbers lie, and what kind of numbers. Plain values that
 * own nothing. */
#ifndef FG_OPS_VIEW_H
#define FG_OPS_VIEW_H

#include <stdint.h>

struct fg_buffer; /* gpu/buffer.h */

/* Rows of f32: `rows` rows of `k` numbers, `stride` floats apart, a multiple of 4. */
struct fg_view {
    struct fg_buffer *buffer;
    uint32_t stride, rows, k;
};

static inline struct fg_view fg_view_of(struct fg_buffer *buffer, uint32_t stride, uint32_t rows,
                                        uint32_t k)
{
    return (struct fg_view){buffer, stride, rows, k};
}

/* How the numbers of a quantized row lie: whole numbers as f32, or as bytes; see FG_C_WIDE_ROW and
 * FG_C_BYTE_ROW. */
enum fg_quantized_layout { FG_QUANTIZED_WIDE, FG_QUANTIZED_BYTES };

/* Where rows are quantized to. Each fg_record_quantize() into it ends what the one before made. */
struct fg_quantized_room {
    struct fg_buffer *buffer;
    uint64_t generation; /* counts what was made in it */
};

/* Rows as quantized: those that were the room's generation-th. */
struct fg_quantized {
    const struct fg_quantized_room *room; /* NULL: there are none */
    uint64_t generation;
    uint32_t stride; /* of 16 bytes */
    uint32_t rows, k;
    enum fg_quantized_layout layout;
};

/* The input of products: the rows, and in the mode int8 the same rows as quantized, which matrices
 * of quantized types multiply. */
struct fg_operand {
    struct fg_view plain;
    struct fg_quantized quantized;
};

#endif
