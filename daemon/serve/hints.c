#include "hints.h"

#include "flow_state.h"
#include "job_state.h"

bool fg_hints_at(const struct fg_job *job, uint32_t at)
{
    for (size_t i = 0; i < job->n_hints; i++)
        if (job->hints[i].at && job->hints[i].at == at)
            return true;
    return false;
}

static uint32_t behind(uint32_t at, uint32_t reused)
{
    return at > reused ? at - reused : 0;
}

void fg_hints_settle(const struct fg_flow *flow, struct fg_job *job)
{
    struct fg_job_account *a = &job->account;
    struct fg_cache *cache = flow->runner.prefix_cache.cache;
    uint32_t furthest = 0;

    if (!job->caching)
        return;
    for (size_t i = 0; i < job->n_hints; i++) {
        uint32_t at = job->hints[i].at, seconds = job->hints[i].seconds;

        if (at && seconds && cache)
            fg_cache_hold(cache, &job->prefix.keys[at / FG_BLOCK_TOKENS - 1], seconds);
        if (seconds >= FG_HINT_LONG_S && at > furthest)
            furthest = at;
    }
    a->written_tokens = behind(job->n_prompt / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS, a->reused_tokens);
    a->written_long_tokens = behind(furthest, a->reused_tokens);
}
