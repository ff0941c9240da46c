#include "sweep.h"

#include <string.h>

#include "admit.h"
#include "flow_state.h"
#include "job_state.h"

/* Why nothing comes back. Only the runner puts records, and they come from offers. Offers that were
 * made before are dropped as the roots are closed, none is made while they are, and what could make
 * one later is a job that was active at the end: it has lost what it held, or its right to offer
 * it. Whoever begins behind the end finds neither in the store nor on the device nor in host memory
 * what was dropped. */
void fg_sweep_begin(struct fg_flow *flow, struct fg_closed_roots *c)
{
    fg_offer_close(&flow->runner.prefix_cache, c);
}

static bool kept(void *ctx, const struct fg_key *key, bool is_state)
{
    const struct fg_prefix_cache *r = ctx;

    return fg_offer_has(r, key, is_state) ||
           (is_state ? fg_cache_has_state(r->cache, key) : fg_cache_has_block(r->cache, key));
}

static void begin_again(struct fg_flow *flow, struct fg_job *job)
{
    fg_admit_remove(flow, job);
    fg_job_show(job, FG_PHASE_QUEUED);
    fg_sched_add(&flow->sched, job);
}

static void handle_job(struct fg_flow *flow, struct fg_job *job)
{
    if (job->brought)
        job->caching = false;
    else
        begin_again(flow, job);
}

static void sweep_tiers(const struct fg_prefix_cache *r)
{
    fg_host_tier_sweep(r->host, kept, (void *)r);
    if (r->vram)
        fg_device_tier_sweep(r->vram, kept, (void *)r);
}

void fg_sweep_end(struct fg_flow *flow, struct fg_closed_roots *c)
{
    struct fg_sched *s = &flow->sched;

    for (uint32_t i = s->n_active; i-- > 0;)
        if (s->active[i]->req.cache != FG_CACHE_NONE &&
            fg_closed_roots_have(c, &s->active[i]->prefix.root))
            handle_job(flow, s->active[i]);
    sweep_tiers(&flow->runner.prefix_cache);
    fg_offer_open(&flow->runner.prefix_cache, c);
}

/* Has the job taken the record from the caches, or is it to? */
static bool takes(const struct fg_job *job, const struct fg_verify_dropped *d)
{
    return job->req.cache != FG_CACHE_NONE && job->restore.target > d->index &&
           memcmp(&job->prefix.keys[d->index], &d->key, sizeof d->key) == 0;
}

void fg_sweep_wrong(struct fg_flow *flow, const struct fg_verify_dropped *dropped)
{
    struct fg_closed_roots c = {.roots = &dropped->root, .n = 1};
    struct fg_sched *s = &flow->sched;

    fg_sweep_begin(flow, &c);
    for (uint32_t i = s->n_active; i-- > 0;) {
        struct fg_job *job = s->active[i];

        if (takes(job, dropped))
            handle_job(flow, job);
        else if (fg_closed_roots_have(&c, &job->prefix.root))
            job->trail.stored = 0; /* its offers under way are lost: it makes them again */
    }
    sweep_tiers(&flow->runner.prefix_cache);
    fg_offer_open(&flow->runner.prefix_cache, &c);
}
