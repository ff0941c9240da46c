/* x = x * sigmoid(gate), the gates between the queries that x came from. Ends with a barrier. */
#ifndef FG_OPS_HEAD_GATE_H
#define FG_OPS_HEAD_GATE_H

#include "ops.h"
#include "rope_kv.h"
#include "view.h"

/* qkv: queries and gates of each head by turns, see rope_kv.h. x: [tokens][n_head * head_dim]. */
void fg_record_head_gate(struct fg_ops *o, const struct fg_heads *heads, struct fg_view qkv,
                         struct fg_view x);

#endif
