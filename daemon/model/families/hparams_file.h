/* What hparams.c and hparams_tensors.c share. Private to them; everybody else uses hparams.h. */
#ifndef FG_HPARAMS_FILE_H
#define FG_HPARAMS_FILE_H

#include "hparams.h"

/* Checks every tensor that hp's family needs against hp's shapes, refuses those that it would
 * have to ignore at the price of wrong results, and sets n_vocab, tied_output and rope_factors.
 * FG_EFORMAT, FG_EUNSUPPORTED. */
int fg_hparams_check_tensors(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err);

/* Limits that no published model comes near: products of two of them fit 64 bits many times. */
#define FG_MAX_LAYERS 1024u
#define FG_MAX_EMBD 131072u
#define FG_MAX_FF (1u << 20)
#define FG_MAX_HEADS 4096u
#define FG_MAX_HEAD_DIM 512u
#define FG_MAX_VOCAB (1u << 22)
#define FG_MAX_EXPERTS 1024u
#define FG_MAX_CTX (1u << 30)

#endif
