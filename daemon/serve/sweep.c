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

    if (fg_offer_has(r, key, is_state))
        return true;
    if (!r->cache)
        return false;
    return is_state ? fg_cache_has_state(r->cache, key) : fg_cache_has_block(r->cache, key);
}

static void handle_job(struct fg_flow *flow, struct fg_job *job)
{
    if (job->brought)
        job->caching = false;
    else
        fg_admit_send_back(flow, job);
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

static void sweep_dropped(struct fg_flow *flow, const struct fg_verify_dropped *dropped)
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

void fg_sweep_wrong(struct fg_flow *flow, const struct fg_verify_dropped *dropped)
{
    struct fg_verify *v = dropped->by;

    if (v->wrong && !v->doubted) {
        v->doubted = true;
        v->next_doubted = flow->sched.doubted;
        flow->sched.doubted = v;
    }
    sweep_dropped(flow, dropped);
}

void fg_sweep_below(struct fg_flow *flow, struct fg_verify *v)
{
    const struct fg_cache_path *path = v->path;
    struct fg_verify **at = &flow->sched.doubted;
    struct fg_verify_dropped top = {
        .root = path->root, .key = path->keys[v->first_wrong], .index = v->first_wrong};

    while (*at != v)
        at = &(*at)->next_doubted;
    *at = v->next_doubted;
    fg_cache_drop_below(flow->cache, path->keys + top.index, path->n - top.index);
    if (v->wrong_state)
        fg_cache_drop(flow->cache, &top.key, true);
    if (v->wrong_block)
        fg_cache_drop(flow->cache, &top.key, false);
    sweep_dropped(flow, &top);
}

uint32_t fg_sweep_trusted(const struct fg_flow *flow, const struct fg_job *job, uint32_t n)
{
    for (const struct fg_verify *v = flow->sched.doubted; v; v = v->next_doubted)
        if (n > v->first_wrong &&
            memcmp(&job->prefix.keys[v->first_wrong], &v->path->keys[v->first_wrong],
                   sizeof *v->path->keys) == 0)
            n = v->first_wrong;
    return n;
}

static void drop_stored(struct fg_cache *cache, const struct fg_prefix *p)
{
    if (!cache)
        return;
    fg_cache_drop_below(cache, p->keys, p->n);
    fg_cache_drop(cache, &p->keys[0], true);
    fg_cache_drop(cache, &p->keys[0], false);
}

void fg_sweep_prefix(struct fg_flow *flow, const struct fg_prefix *p)
{
    struct fg_closed_roots c = {.roots = &p->root, .n = 1};
    struct fg_sched *s = &flow->sched;

    if (p->n == 0)
        return;
    fg_sweep_begin(flow, &c);
    drop_stored(flow->cache, p);
    for (uint32_t i = s->n_active; i-- > 0;) {
        struct fg_job *job = s->active[i];
        bool shares = job->req.cache != FG_CACHE_NONE && job->prefix.n > 0 &&
                      memcmp(&job->prefix.keys[0], &p->keys[0], sizeof p->keys[0]) == 0;

        job->disowned = job->disowned || (shares && job->brought);
        if (shares && (job->brought || job->restore.target))
            handle_job(flow, job);
        else if (fg_closed_roots_have(&c, &job->prefix.root))
            job->trail.stored = 0;
    }
    sweep_tiers(&flow->runner.prefix_cache);
    fg_offer_open(&flow->runner.prefix_cache, &c);
}
