/* fulgurd --tune: measures anew how matrix products are best spread on a device. */
#ifndef FG_TUNE_REPORT_H
#define FG_TUNE_REPORT_H

#include <stdio.h>

#include "config.h"

/* Loads the model of the settings c, tunes, keeps the result in c->pipeline_dir, and writes it to
 * out, as text or, for c->json, as JSON. Errors of fg_gguf_open(), fg_device_open(),
 * fg_engine_create(); FG_EIO when it could not be kept. */
int fg_tune_report(const struct fg_config *c, FILE *out, struct fg_err *err);

#endif
