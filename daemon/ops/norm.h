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

/* The same in place, of n columns from `at` on in each row. */
struct fg_norm_part {
    struct fg_view x;
    uint32_t at, n;
    struct fg_buffer *w; /* [n] */
    float eps;
};
void fg_record_norm_part(struct fg_ops *o, const struct fg_norm_part *a);

/* x = alpha * x + rmsnorm(n) * w, for each row; x and n of one stride. */
struct fg_norm_add {
    struct fg_view n, x; /* of x.k columns */
    struct fg_buffer *w; /* [x.k] */
    float alpha, eps;
};
void fg_record_norm_add(struct fg_ops *o, const struct fg_norm_add *a);

#endif
