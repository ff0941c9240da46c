/* Distrust: a job whose logits are not finite. Where it took its prefix from the caches, these are
 * to blame before the device is: a record's checksum says that it is what was stored, not that it
 * is what the model computes. The GPU thread's. */
#ifndef FG_DISTRUST_H
#define FG_DISTRUST_H

struct fg_flow;
struct fg_job;
struct fg_err;

/* Drops what the active job, of which no step runs, took from the caches or left there. A job that
 * took something and has told no token yet is computed anew, once, without them; others end with
 * *err. */
void fg_distrust(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err);

#endif
