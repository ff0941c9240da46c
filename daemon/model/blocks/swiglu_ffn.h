/* silu(gate x) * (up x), or another gate: the first half of a dense feed-forward, and of an expert
 * that all take. */
#ifndef FG_SWIGLU_FFN_H
#define FG_SWIGLU_FFN_H

#include "block.h"

/* The slots of gate and up. */
struct fg_swiglu_slots {
    uint32_t gate, up; /* up's matrix is empty where the two are one */
};
/* How up joins its gate: products gate by silu only. */
enum fg_tensor_join fg_gate_join(const struct fg_block_shape *s);
/* Records it for an operand of the block's normed input; ends with a barrier. The result's rows. */
struct fg_view fg_record_swiglu_ffn(const struct fg_block *b, const struct fg_block_run *r,
                                    struct fg_swiglu_slots slots, const struct fg_operand *x,
                                    uint32_t n_ff);

#endif
