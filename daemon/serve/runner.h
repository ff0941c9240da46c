/* The machine a flow runs on: the model file, the device, the engine and the VRAM cache, opened
 * together, and opened again after the device was lost. One thread at a time. */
#ifndef FG_MACHINE_H
#define FG_MACHINE_H

#include "flow.h"
#include "gpu/device.h"
#include "prefix/longest.h"
#include "prefix/offer.h"

struct fg_runner {
    char *device_select, *pipeline_dir; /* or NULL */
    struct fg_engine_options options;
    struct fg_gguf *gguf;
    struct fg_device *device;
    struct fg_engine *engine; /* NULL after a failed reopening */
    struct fg_device_tier *vram;
    struct fg_engine_info info;          /* of the engine that is, or was last, open */
    struct fg_prefix_cache prefix_cache; /* engine, VRAM and the store */
    struct fg_offers offers;             /* on their way to the store */
    struct fg_way *unwanted;             /* of stopped restores */
    struct fg_look *looks;               /* of verifications */
};

/* The engine's options of a flow: defaults of what the flow decides. */
void fg_runner_options(const struct fg_flow_options *opt, struct fg_engine_options *out);
/* For struct fg_engine_options: shows how far tuning has got (fg_log_bar()). */
void fg_runner_tune_progress(void *ctx, double share);
/* Opens all but the store; reuse.cache and reuse.rate are for the caller to set. On failure *m is
 * finished. */
int fg_runner_init(struct fg_runner *m, const struct fg_flow_options *opt, struct fg_err *err);
void fg_runner_finish(struct fg_runner *m);
/* Closes engine and device (no sequence may be left) and opens them again. On failure m->engine is
 * NULL and this may be called again. FG_EDEVICE also when the device now computes other bits. */
int fg_runner_reopen(struct fg_runner *m, struct fg_err *err);

#endif
