/* gate = silu(gate) * up, where the two were not one matrix. Ends with a barrier. */
#ifndef FG_OPS_SWIGLU_H
#define FG_OPS_SWIGLU_H

#include "ops.h"
#include "view.h"

/* Both of one stride. */
void fg_record_swiglu(struct fg_ops *o, struct fg_view gate, struct fg_view up);

#endif
