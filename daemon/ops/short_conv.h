/* A short convolution between two gates: rows of products hold B, C and X of all channels, and
 * y = C * conv(B * X), each channel by itself over the tokens of its sequence. */
#ifndef FG_OPS_SHORT_CONV_H
#define FG_OPS_SHORT_CONV_H

#include "ops.h"
#include "step_tables.h"
#include "view.h"

struct fg_short_conv {
    uint32_t channels, taps; /* taps: the token's own included */
    struct fg_view rows;     /* [tokens][3 * channels] */
    struct fg_buffer *w;     /* [channels][taps] */
    struct fg_buffer *tail;  /* [n_seq] slots: B * X of the last taps - 1 tokens */
    struct fg_view out;      /* [tokens][channels] */
    const struct fg_step_tables *tables;
    const struct fg_step_shape *step;
};
/* Ends with a barrier. */
void fg_record_short_conv(struct fg_ops *o, const struct fg_short_conv *a);

#endif
