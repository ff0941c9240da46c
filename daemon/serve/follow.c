#include "follow.h"

#include <string.h>

#include "flow_state.h"
#include "job_state.h"
#include "sweep.h"

/* Leading blocks that both prompts have. Keys are chained: where one is equal, all before it are.
 */
static uint32_t common_blocks(const struct fg_prefix *a, const struct fg_prefix *b)
{
    uint32_t low = 0, high = a->n < b->n ? a->n : b->n;

    while (low < high) {
        uint32_t mid = low + (high - low + 1) / 2;

        if (memcmp(&a->keys[mid - 1], &b->keys[mid - 1], sizeof *a->keys) == 0)
            low = mid;
        else
            high = mid - 1;
    }
    return low;
}

/* Blocks that job could take from others: the token that is left gives the logits. */
static uint32_t most_blocks(const struct fg_flow *flow, const struct fg_job *job)
{
    return fg_sweep_trusted(flow, job, (job->n_tokens - 1) / FG_BLOCK_TOKENS);
}

/* Of what `a` has computed or will, blocks that job could take. */
static uint32_t useful_blocks(const struct fg_flow *flow, const struct fg_job *job,
                              const struct fg_job *a)
{
    uint32_t n = common_blocks(&job->prefix, &a->prefix), most = most_blocks(flow, job);

    return n < most ? n : most;
}

static bool may_follow(const struct fg_flow *flow, const struct fg_job *job)
{
    const struct fg_runner *m = &flow->runner;

    return fg_job_reads(job) && job->req.mode == FG_MODE_ANSWER && m->vram &&
           (m->prefix_cache.state_bytes == 0 || m->info.n_states > 0);
}

/* Does `a` make known what it computes, and is it on its way there? */
static bool may_lead(const struct fg_job *a)
{
    return a->caching && a->seq && a->restore.done;
}

bool fg_follow_would(const struct fg_flow *flow, const struct fg_job *job)
{
    if (!may_follow(flow, job))
        return false;
    for (uint32_t i = 0; i < flow->sched.n_active; i++) {
        const struct fg_job *a = flow->sched.active[i];

        if (may_lead(a) && fg_seq_length(a->seq) < useful_blocks(flow, job, a) * FG_BLOCK_TOKENS)
            return true;
    }
    return false;
}

/* Whether `a` goes first of two jobs, job one that computes nothing yet. */
static bool goes_first(const struct fg_job *a, const struct fg_job *job)
{
    uint32_t at = fg_seq_length(a->seq), own = fg_seq_length(job->seq);

    return at > own || (at == own && (a->brought || a->id < job->id));
}

/* The job stands where another leaves it: its state is needed now. */
static int keep_state_here(struct fg_flow *flow, struct fg_job *a, struct fg_err *err)
{
    uint32_t n = fg_seq_length(a->seq) / FG_BLOCK_TOKENS;
    const struct fg_prefix_cache *r = &flow->runner.prefix_cache;

    if (n == 0 || !a->brought || r->state_bytes == 0 ||
        fg_device_tier_state(r->vram, &a->prefix.keys[n - 1], n - 1) != FG_TIER_NONE)
        return 0;
    a->trail.at = FG_AT_BRANCH;
    return fg_store_state(r, &a->trail, a->seq, &a->prefix, a->tokens, err);
}

/* The same. What keeps it from being kept costs the leader its caching, and the follower a hit.
 * FG_EDEVICELOST. */
static int keep_for_follower(struct fg_flow *flow, struct fg_job *a, struct fg_err *err)
{
    int rc = keep_state_here(flow, a, err);

    if (rc == 0 || rc == FG_EDEVICELOST)
        return rc;
    fg_job_log_cause(FG_LOG_WARN, a, err, "store=off");
    a->caching = false;
    return 0;
}

/* Of those that lead, the one that is ahead of the others on the longest common way. */
static int find_leader(struct fg_flow *flow, struct fg_job *job, struct fg_err *err)
{
    uint32_t own = fg_seq_length(job->seq);
    int rc = 0;

    job->leader = NULL;
    job->common = 0;
    if (!may_follow(flow, job) || own % FG_BLOCK_TOKENS)
        return 0;
    for (uint32_t i = 0; rc == 0 && i < flow->sched.n_active; i++) {
        struct fg_job *a = flow->sched.active[i];
        uint32_t n, at;

        if (a == job || !may_lead(a) || !goes_first(a, job))
            continue;
        n = useful_blocks(flow, job, a);
        at = fg_seq_length(a->seq);
        if (at == n * FG_BLOCK_TOKENS && at > own) {
            rc = keep_for_follower(flow, a, err);
            job->followed = true;
        }
        if (at >= n * FG_BLOCK_TOKENS || n * FG_BLOCK_TOKENS <= own)
            continue;
        if (n > job->common ||
            (n == job->common && job->leader && at > fg_seq_length(job->leader->seq))) {
            job->leader = a;
            job->common = n;
        }
    }
    job->followed = job->followed || job->leader;
    return rc;
}

int fg_follow_turn(struct fg_flow *flow, struct fg_job *job, struct fg_err *err)
{
    struct fg_prefix_cache r = flow->runner.prefix_cache;
    int rc = find_leader(flow, job, err);

    if (rc || !job->followed || (job->leader && r.state_bytes))
        return rc;
    r.read_only = job->req.cache != FG_CACHE_READ_WRITE;
    fg_restore_more(&job->restore, &r, job->seq, most_blocks(flow, job));
    return fg_restore_advance(&job->restore, &r, &job->seq, UINT32_MAX, err);
}

bool fg_follow_restoring(const struct fg_flow *flow, const struct fg_job *job)
{
    uint32_t own = fg_seq_length(job->seq) / FG_BLOCK_TOKENS;

    for (uint32_t i = 0; i < flow->sched.n_active; i++) {
        const struct fg_job *a = flow->sched.active[i];
        uint32_t n;

        if (a->id >= job->id || a->restore.done || !a->caching)
            continue;
        n = useful_blocks(flow, job, a);
        n = n < a->restore.target ? n : a->restore.target;
        if (n > own && n >= job->restore.target)
            return true;
    }
    return false;
}

bool fg_follow_wants_state(const struct fg_flow *flow, const struct fg_job *job, uint32_t at)
{
    for (uint32_t i = 0; i < flow->sched.n_active; i++) {
        const struct fg_job *f = flow->sched.active[i];

        if (!f->brought && f->leader == job && f->common * FG_BLOCK_TOKENS == at)
            return true;
    }
    return false;
}

void fg_follow_abandon(struct fg_flow *flow, struct fg_job *job)
{
    struct fg_err err = {0};
    bool followed = false;

    for (uint32_t i = 0; i < flow->sched.n_active; i++) {
        struct fg_job *f = flow->sched.active[i];

        if (f->brought || f->leader != job)
            continue;
        f->leader = NULL;
        followed = true;
    }
    if (!followed || !job->seq || !job->caching || fg_seq_length(job->seq) % FG_BLOCK_TOKENS)
        return;
    /* Without it the others begin at an earlier one. */
    if (keep_state_here(flow, job, &err))
        fg_job_log_cause(FG_LOG_WARN, job, &err, "abandoned_state=lost");
}

struct fg_job *fg_follow_idle(const struct fg_flow *flow)
{
    struct fg_job *youngest = NULL;

    for (uint32_t i = 0; i < flow->sched.n_active; i++) {
        struct fg_job *f = flow->sched.active[i];

        if (!f->brought && f->leader && f->account.completion_tokens == 0 &&
            (!youngest || f->id > youngest->id))
            youngest = f;
    }
    return youngest;
}
