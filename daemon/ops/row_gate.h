/* x = x * sigmoid(gate), one gate a row. Ends with a barrier. */
#ifndef FG_OPS_ROW_GATE_H
#define FG_OPS_ROW_GATE_H

#include "ops.h"
#include "view.h"

/* gate: [x.rows][1] */
void fg_record_row_gate(struct fg_ops *o, struct fg_view x, struct fg_view gate);

#endif
