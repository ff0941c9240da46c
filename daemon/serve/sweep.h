/* Sweep: after records were dropped from the store, what others hold of them goes as well, and
 * nothing that was begun before comes to the store behind it. Jobs and offers of other tenants are
 * left alone. The runner's thread. */
#ifndef FG_SWEEP_H
#define FG_SWEEP_H

#include "prefix/offer.h"
#include "prefix/verify.h"

struct fg_flow;

/* Records below these roots are about to be forgotten. Until fg_sweep_end() nothing below them is
 * put into the store; what was on its way there is not put at all. c is the caller's until then. */
void fg_sweep_begin(struct fg_flow *flow, struct fg_closed_roots *c);
/* They are forgotten: the device and host memory forget what the store has not and is not about to
 * get. Jobs below the roots that still bring in a prefix begin again; those that have done so go
 * on, and leave nothing in the caches. */
void fg_sweep_end(struct fg_flow *flow, struct fg_closed_roots *c);
/* A record was dropped because it was wrong. The same of jobs that were to bring it in, or have
 * done so; what others have computed themselves is right. */
void fg_sweep_wrong(struct fg_flow *flow, const struct fg_verify_dropped *dropped);

#endif
