/* A whole model in plain C, bit for bit what the engine computes in the modes `exact` and `int8`.
 *
 * It holds one sequence. Tokens may be fed one at a time or many: the bits are the same. One thread
 * at a time for each model. */
#ifndef FG_REF_MODEL_H
#define FG_REF_MODEL_H

#include <stdint.h>

#include "fulgur/error.h"
#include "model/engine.h"
#include "model/gguf/gguf.h"
#include "model/families/hparams.h"

struct fg_ref_model;

/* family: NULL for the one that the file names. The weights stay in `g`, which must outlive the
 * model. *out is the caller's until
 * fg_ref_model_destroy(); NULL on failure. FG_ENOMEM, and the errors of fg_hparams_init(). */
int fg_ref_model_create(const struct fg_gguf *g, const struct fg_family *family, enum fg_kv_type kv,
                        bool int8, struct fg_ref_model **out, struct fg_err *err);
/* Takes NULL. */
void fg_ref_model_destroy(struct fg_ref_model *m);
/* Back to the empty sequence. */
void fg_ref_model_reset(struct fg_ref_model *m);

/* Appends n tokens. logits (NULL only when n_logits is 0): [n_logits][n_vocab] out, of the last
 * n_logits of them. FG_EINVAL (a token id outside the vocabulary, n_logits above n; nothing is
 * appended then), FG_ENOMEM (the sequence is then of no further use but to be reset). */
int fg_ref_model_feed(struct fg_ref_model *m, const int32_t *tokens, uint32_t n, float *logits,
                      uint32_t n_logits, struct fg_err *err);

const struct fg_hparams *fg_ref_model_hparams(const struct fg_ref_model *m);
uint32_t fg_ref_model_length(const struct fg_ref_model *m); /* tokens */

#endif
