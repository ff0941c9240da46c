/* Fair: tenants share the queue of jobs and the places of the runner.
 *
 * A tenant may fill a queue that nobody else uses. Once the queue is full, whoever has less than
 * its share of it, the places divided by the tenants that have jobs, still gets in: what one tenant
 * submits refuses no other, and a tenant that has no job is never refused. So T tenants have at
 * most 1 + 1/2 + ... + 1/T times as many jobs as the queue has places.
 *
 * The next place of the runner goes to the tenant that has the fewest; of several, to each in turn.
 * Within a tenant the oldest job goes first. */
#ifndef FG_FAIR_H
#define FG_FAIR_H

#include <string.h>

#include "job.h"

struct fg_sched;

/* One for each tenant that has jobs. */
struct fg_fair_share {
    struct fg_fair_share *next;
    struct fg_tenant tenant;
    uint32_t n_jobs;
};

struct fg_fair {
    struct fg_fair_share *shares;
    uint32_t n_shares, n_jobs, max_jobs;
};

/* Counts a job of the tenant's. FG_EBUSY: the queue is full, and the tenant has its share of it;
 * FG_ENOMEM. Not two threads at a time; the same for fg_fair_leave(). */
int fg_fair_enter(struct fg_fair *f, const struct fg_tenant *tenant, struct fg_err *err);
/* A job that was counted has ended. */
void fg_fair_leave(struct fg_fair *f, const struct fg_tenant *tenant);

/* Of two waiting jobs, whether `a`, the younger one, is admitted before `b`. The runner's thread.
 */
bool fg_fair_before(const struct fg_sched *s, const struct fg_job *a, const struct fg_job *b);

#endif
