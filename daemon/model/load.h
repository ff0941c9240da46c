/* The weights' way from the file to the device. */
#ifndef FG_LOAD_H
#define FG_LOAD_H

#include "plan.h"

/* Uploads everything that the model's layers and the head need, and tells e->opt.upload_progress.
 * The errors of fg_engine_create(). */
int fg_weights_load(struct fg_engine *e, struct fg_err *err);
/* Adds the bytes of the same tensors on a device of limits d to p->weight_bytes and p->types.
 * FG_EFORMAT, FG_EUNSUPPORTED. */
int fg_weights_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_gguf *g,
                    const struct fg_device_info *d, struct fg_err *err);

#endif
