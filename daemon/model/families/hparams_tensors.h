/* The tensors of a file against the blocks that want them. Of hparams.c. */
#ifndef FG_HPARAMS_TENSORS_H
#define FG_HPARAMS_TENSORS_H

#include "hparams.h"

/* Checks every tensor of hp's tables, refuses those that it would have to ignore at the price of
 * wrong results, and sets n_vocab, tied_output and rope_factors. FG_EFORMAT, FG_EUNSUPPORTED. */
int fg_hparams_check_tensors(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err);

#endif
