/* Tuning: which tiling of the matrix products is fastest on this device. It changes no bits: a
 * candidate whose result differs from the usual tiling's is dropped.
 *
 * What is measured is kept in a file beside the pipeline cache, for this device, driver and these
 * shaders. GPU thread only. */
#ifndef FG_TUNE_H
#define FG_TUNE_H

#include "engine.h"

enum { FG_TUNE_CANDIDATES = 40 };

/* The tilings that a device can run in this mode, for one token or many, the usual one first; all
 * have as many tokens. dot: of the kernels by integer dot products. Returns how many. */
uint32_t fg_tune_candidates(const struct fg_device_info *d, enum fg_numerics mode, bool dot,
                            bool many, struct fg_tiling out[FG_TUNE_CANDIDATES]);

/* Measures the products of every weight type of the model that e->tuned lacks, for one token and
 * many, within about `seconds`, and adds them there. now: a clock in seconds. progress (may be
 * NULL) is told the share that is done. FG_ENOMEM, FG_EDEVICE, FG_EDEVICELOST. */
int fg_tune_measure(struct fg_engine *e, double seconds, double (*now)(void),
                    void (*progress)(void *ctx, double share), void *ctx, struct fg_err *err);
/* Takes what the model has out of e->tuned; what other models brought stays. */
void fg_tune_forget(struct fg_engine *e);
/* The index of the fastest: 0, the usual one, unless another takes less than 0.97 of its time.
 * Times of 0 were not measured. */
uint32_t fg_tune_choose(const double *seconds, uint32_t n);

/* Reads what was kept for this device into e->tuned. False when there is nothing, or nothing that
 * can be used; err->code is 0 when there is no file, else err says what is wrong with it. */
bool fg_tune_load(struct fg_engine *e, struct fg_err *err);
/* Keeps e->tuned. FG_EIO, FG_ENOTFOUND (the device was opened without a directory). */
int fg_tune_save(const struct fg_engine *e, struct fg_err *err);

#endif
