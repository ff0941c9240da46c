/* y[i] = rmsnorm(x[index ? index[index_at + i] : i]) * w, for each row of y. */
#ifndef FG_OPS_NORM_H
#define FG_OPS_NORM_H

#include "ops.h"
#include "view.h"

struct fg_norm {
    struct fg_view x, y; /* of y.k columns */
    struct fg_buffer *w; /* [y.k] */
    float eps;
    struct fg_buffer *index; /* or NULL */
    uint32_t index_at;
};
void fg_record_norm(struct fg_ops *o, const struct fg_norm *a);

#endif
