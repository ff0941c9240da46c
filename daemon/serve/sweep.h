/* Sweep: after records were dropped from the store, what others hold of them goes as well, and
 * nothing that was begun before comes to the store behind it. Jobs and offers of other tenants are
 * left alone. The runner's thread. */
#ifndef FG_SWEEP_H
#define FG_SWEEP_H

#include "prefix/offer.h"
#include "prefix/verify.h"

struct fg_flow;
struct fg_job;

/* Records below these roots are about to be forgotten. Until fg_sweep_end() nothing below them is
 * put into the store; what was on its way there is not put at all. c is the caller's until then. */
void fg_sweep_begin(struct fg_flow *flow, struct fg_closed_roots *c);
/* They are forgotten: the device and host memory forget what the store has not and is not about to
 * get. Jobs below the roots that still bring in a prefix begin again; those that have done so go
 * on, and leave nothing in the caches. */
void fg_sweep_end(struct fg_flow *flow, struct fg_closed_roots *c);
/* A record is wrong. The same of jobs that were to bring it in, or have done so; what others have
 * computed themselves is right. Where it was not what was computed, it is doubted until
 * fg_sweep_below(), with what lies below it: that was computed on top of it, but is still there to
 * be compared. */
void fg_sweep_wrong(struct fg_flow *flow, const struct fg_verify_dropped *dropped);
/* The verification, which has found something wrong, has ended: that is dropped from all tiers, and
 * what continues it, on every branch. */
void fg_sweep_below(struct fg_flow *flow, struct fg_verify *v);
/* Nobody knows which record of the prefix is bad: all of them go, and all that continues its first
 * block, from all tiers. Jobs that have that block and go on leave nothing more in the caches;
 * those that still bring it in begin again. Without a store, which knows what continues what, the
 * device and host memory forget everything. */
void fg_sweep_prefix(struct fg_flow *flow, const struct fg_prefix *p);
/* Of n leading blocks, those that job may take from the caches: none that is doubted. */
uint32_t fg_sweep_trusted(const struct fg_flow *flow, const struct fg_job *job, uint32_t n);

#endif
