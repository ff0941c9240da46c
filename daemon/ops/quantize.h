/* Activations as the mode int8 multiplies them: blocks of 32 whole numbers and a scale. */
#ifndef FG_OPS_QUANTIZE_H
#define FG_OPS_QUANTIZE_H

#include "ops.h"
#include "view.h"

/* Whether the mode has matrices of this type multiply quantized activations. */
bool fg_takes_quantized(const struct fg_ops *o, enum fg_dtype type);
/* Floats of a row of k activations as quantized, at most. */
uint32_t fg_quantized_row(uint32_t k);
/* x as an operand of products. In the mode int8 its rows are quantized into `room` too, which is
 * the operand's until the room is used again, and a barrier ends it; in other modes nothing is
 * recorded. */
struct fg_operand fg_record_quantize(struct fg_ops *o, struct fg_view x,
                                     struct fg_quantized_room *room);
/* Why matrices of quantized types cannot take this operand of k columns and n_rows rows; NULL: they
 * can. */
const char *fg_quantized_refuses(const struct fg_ops *o, const struct fg_operand *x, uint32_t k,
                                 uint32_t n_rows);

#endif
