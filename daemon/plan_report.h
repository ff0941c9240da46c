/* fulgurd --plan: what a model would take on a device, before anything of it is loaded. */
#ifndef FG_PLAN_REPORT_H
#define FG_PLAN_REPORT_H

#include <stdio.h>

#include "config.h"

/* Computes the plan of the settings c and writes it to out, as text or, for c->json, as JSON. Reads
 * the model's header and asks for the devices; opens none. *fits: whether it fits. On failure
 * nothing is written. FG_ENOTFOUND (model, device), FG_EFORMAT, FG_EUNSUPPORTED, FG_ENOMEM. */
int fg_plan_report(const struct fg_config *c, FILE *out, bool *fits, struct fg_err *err);

#endif
