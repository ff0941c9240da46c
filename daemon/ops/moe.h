/* Mixture of experts: which experts a token goes to, and how their results become one. */
#ifndef FG_OPS_MOE_H
#define FG_OPS_MOE_H

#include "matmul.h"
#include "ops.h"
#include "view.h"

/* The n_used best experts of each row of logits, grouped by expert for products: by softmax, or
 * where there is a bias of the choice, by sigmoid plus that. Ends with a barrier. */
struct fg_moe_route {
    struct fg_view logits;                 /* [tokens][n_expert] */
    struct fg_buffer *bias;                /* [n_expert], or NULL */
    struct fg_buffer *experts, *weights;   /* [tokens][n_used] out, in rank order */
    const struct fg_expert_groups *groups; /* out; n_pairs = tokens * n_used */
};
void fg_record_moe_route(struct fg_ops *o, const struct fg_moe_route *a);
/* Groups n_pairs choices in `experts`. Ends with a barrier. */
void fg_record_moe_group(struct fg_ops *o, struct fg_buffer *experts,
                         const struct fg_expert_groups *groups);

/* x = alpha * residual + sum over ranks of weights * y. Ends with a barrier. */
struct fg_moe_combine {
    struct fg_view y;          /* [tokens * n_used] */
    struct fg_buffer *weights; /* of fg_record_moe_route() */
    uint32_t n_used;
    struct fg_view x, residual; /* residual may be x */
    float alpha;
};
void fg_record_moe_combine(struct fg_ops *o, const struct fg_moe_combine *a);
/* The same, and then residual = rmsnorm(x) * norm: all views of one stride, residual is not x. */
void fg_record_moe_combine_norm(struct fg_ops *o, const struct fg_moe_combine *a,
                                struct fg_buffer *norm, float eps);

#endif
