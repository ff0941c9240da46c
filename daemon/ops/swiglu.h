/* What a gate and its up become, where the two were not one matrix. */
#ifndef FG_OPS_SWIGLU_H
#define FG_OPS_SWIGLU_H

#include "ops.h"
#include "view.h"

enum fg_ffn_gate {
    FG_GATE_SILU,    /* silu(gate) * up */
    FG_GATE_GELU,    /* gelu(gate) * up, gelu by tanh */
    FG_GATE_CLAMPED, /* (g * sigmoid(1.702 g)) * (u + 1), both cut at 7, u at -7 too */
};
/* gate = that of both, which are of one stride. Ends with a barrier. */
void fg_record_swiglu(struct fg_ops *o, enum fg_ffn_gate kind, struct fg_view gate,
                      struct fg_view up);

#endif
