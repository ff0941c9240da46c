/* y = W x (+ alpha * residual), for each row of y. */
#ifndef FG_OPS_MATMUL_H
#define FG_OPS_MATMUL_H

#include "matrix.h"
#include "ops.h"
#include "view.h"

struct fg_matmul {
    const struct fg_matrix *m;
    struct fg_operand x;     /* [y.rows][m->k] at least */
    struct fg_view y;        /* columns from m->y_at on are written */
    struct fg_view residual; /* no buffer: there is none; may be y */
    float alpha;             /* of the residual */
};
/* FG_EINVAL: an operand of another width, or too few rows; a matrix that multiplies quantized
 * activations and an operand without them (see quantize.h). */
void fg_record_matmul(struct fg_ops *o, const struct fg_matmul *a);

/* (token, rank) pairs grouped by expert (moe_route.h). */
struct fg_expert_groups {
    uint32_t n_pairs, n_used, n_expert; /* n_used: experts of a token */
    struct fg_buffer *pairs,
        *pair_tiles; /* [n_pairs]; [n_pairs / tokens of a tile + n_expert][4] */
};
/* The same with the expert's matrix for each pair: row of x = pair / x_div, row of y = pair. */
struct fg_matmul_moe {
    const struct fg_matrix *m;
    struct fg_operand x; /* [n_pairs / x_div] rows at least */
    struct fg_view y;
    const struct fg_expert_groups *groups;
    uint32_t x_div;
};
void fg_record_matmul_moe(struct fg_ops *o, const struct fg_matmul_moe *a);
/* How products of the groups are tiled, and so how pairs are to be grouped. */
const struct fg_tiling *fg_moe_tiling(const struct fg_ops *o, const struct fg_expert_groups *g);

/* The shader of a product: base "matmul" or "matmul_moe"; variant "", ".dot" or ".fma". */
void fg_matmul_name(char name[FG_KERNEL_NAME], const char *base, enum fg_dtype type,
                    const struct fg_tiling *t, const char *variant);

#endif
