/* Forecast: what a prompt would find in the caches, and how long its first token would take. */
#include "admit.h"
#include "ending.h"
#include "flow_state.h"
#include "forecast.h"
#include "job_state.h"

/* Where the first `n` blocks would come from: the farthest of the tiers. */
static enum fg_cache_source source_of(const struct fg_flow *flow, const struct fg_job *job,
                                      uint32_t n)
{
    const struct fg_prefix_cache *r = &flow->runner.prefix_cache;
    const struct fg_key *keys = job->prefix.keys;
    enum fg_cache_source far = FG_SOURCE_VRAM;

    for (uint32_t b = 0; b < n; b++) {
        if (fg_device_tier_find(r->vram, &keys[b], job->tokens + (size_t)b * FG_BLOCK_TOKENS, NULL))
            continue;
        if (!fg_host_tier_has(r->host, &keys[b], false))
            return FG_SOURCE_STORE;
        far = FG_SOURCE_RAM;
    }
    if (r->state_bytes == 0 || fg_device_tier_state(r->vram, &keys[n - 1], n - 1) != FG_TIER_NONE)
        return far;
    return fg_host_tier_has(r->host, &keys[n - 1], true) ? FG_SOURCE_RAM : FG_SOURCE_STORE;
}

static void predict(const struct fg_flow *flow, struct fg_job *job)
{
    struct fg_job_account *a = &job->account;
    uint32_t reused = a->reused_tokens;

    if (a->source == FG_SOURCE_STORE)
        a->restore_ms = 1e3 * fg_rate_seconds(&flow->restore_rate, 0, reused);
    a->prefill_ms = 1e3 * fg_rate_seconds(&flow->prefill_rate, reused, job->n_prompt);
    a->saved_ms = 1e3 * fg_rate_seconds(&flow->prefill_rate, 0, reused);
    a->first_token_ms = a->prefill_ms > 0 ? a->restore_ms + a->prefill_ms : 0;
}

void fg_forecast(struct fg_flow *flow, struct fg_job *job)
{
    struct fg_cache_root root = fg_flow_describe_root(flow, &job->req.tenant);
    struct fg_explain_prompt p = {
        .root = &root, .prefix = &job->prefix, .tokens = job->tokens, .n_tokens = job->n_prompt};
    struct fg_job_account *a = &job->account;
    struct fg_lookup hit;
    struct fg_err err = {0};

    if (!flow->runner.engine && fg_runner_reopen(&flow->runner, &err)) {
        fg_admit_fail(flow, job, &err);
        return;
    }
    fg_lookup_prefix(&flow->runner.prefix_cache, job->prefix.keys, job->tokens,
                     (job->n_prompt - 1) / FG_BLOCK_TOKENS, &hit);
    p.found = hit.found;
    p.reused = hit.restore;
    a->reused_tokens = hit.restore * FG_BLOCK_TOKENS;
    a->recomputed_tokens = job->n_prompt - a->reused_tokens;
    if (hit.restore)
        a->source = source_of(flow, job, hit.restore);
    fg_explain_begin(&flow->runner.prefix_cache, &p, &job->explanation);
    job->explains = true;
    job->finish = FG_FINISH_STOP;
    predict(flow, job);
    fg_admit_withdraw(flow, job);
    fg_ending_done(flow, job);
    fg_ending_leave(flow, job);
}
