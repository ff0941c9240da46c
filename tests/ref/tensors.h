/* A model's tensors by the short names of their layers' parts. */
#ifndef FG_REF_TENSORS_H
#define FG_REF_TENSORS_H

#include "model/gguf/gguf.h"
#include "ops.h"

/* "attn_q" of layer 3 is blk.3.attn_q.weight; "ssm_a." is blk.3.ssm_a; "output" of layer -1 is
 * output.weight. A matrix of no rows, or NULL, where the file has none of the name. */
struct fg_ref_matrix fg_ref_tensor_matrix(const struct fg_gguf *g, int64_t layer, const char *name,
                                          bool int8);
const float *fg_ref_tensor_vector(const struct fg_gguf *g, int64_t layer, const char *name);
/* The e-th of a matrix whose rows are those of all experts, one after the other. */
struct fg_ref_matrix fg_ref_expert(const struct fg_ref_matrix *all, size_t n_expert, size_t e);

#endif
