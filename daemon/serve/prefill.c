/* Prefill: the way of a prompt into its sequence, restored as far as stored, then computed in
 * pieces that end where blocks and states are to be kept. */
#include "follow.h"
#include "flow_state.h"
#include "hints.h"
#include "job_state.h"
#include "prefill.h"
#include "prefix/verify.h"

enum {
    RESTORE_BLOCKS = 64, /* restored between two steps, so that other jobs go on */
    STATE_SPACING =
        1024, /* tokens between states on long prompts, when nothing is known of costs */
};

static bool has_states(const struct fg_flow *flow, const struct fg_job *job)
{
    return job->caching && flow->runner.prefix_cache.state_bytes > 0;
}

static void explain(const struct fg_flow *flow, struct fg_job *job)
{
    struct fg_cache_root root = fg_flow_describe_root(flow, &job->req.tenant);
    const struct fg_restore *w = &job->restore;
    struct fg_explain_prompt p = {.root = &root,
                                  .prefix = &job->prefix,
                                  .tokens = job->tokens,
                                  .n_tokens = job->n_prompt,
                                  .found = w->found,
                                  .reused = job->account.reused_tokens / FG_BLOCK_TOKENS,
                                  .corrupt = w->corrupt,
                                  .busy = w->fallbacks > 0};

    job->explains = job->req.cache != FG_CACHE_NONE;
    if (job->explains)
        fg_explain_begin(&flow->runner.prefix_cache, &p, &job->explanation);
    else
        job->account.why = (struct fg_cache_why){.reason = FG_REASON_DISABLED, .diverged_at = -1};
}

/* What was reused is settled: when the first restore ends. */
static void settle(struct fg_flow *flow, struct fg_job *job)
{
    uint32_t n = fg_seq_length(job->seq);

    if (job->accounted)
        return;
    job->accounted = true;
    if (job->followed)
        job->marks.restored = 0; /* its own restore was not the end of it */
    fg_account_mark(&job->marks.restored);
    job->account.reused_tokens = n;
    job->account.recomputed_tokens = job->n_prompt - n;
    if (n)
        job->account.source = job->restore.store_records ? FG_SOURCE_STORE
                              : job->restore.ram_records ? FG_SOURCE_RAM
                                                         : FG_SOURCE_VRAM;
    fg_hints_settle(flow, job);
    if (job->account.source == FG_SOURCE_STORE && !job->followed)
        fg_rate_add(&flow->restore_rate, n, 0, (job->marks.restored - job->marks.admitted) / 1e3);
    explain(flow, job);
}

int fg_prefill_restore(struct fg_flow *flow, struct fg_job *job, struct fg_err *err)
{
    struct fg_prefix_cache r = flow->runner.prefix_cache;
    int rc;

    r.read_only = job->req.cache != FG_CACHE_READ_WRITE;
    if (!job->restore.done && !job->restore.way && fg_follow_restoring(flow, job)) {
        job->restore.waits = true;
        return 0;
    }
    rc = fg_restore_advance(&job->restore, &r, &job->seq, RESTORE_BLOCKS, err);
    if (rc)
        return rc;
    if (job->restore.done && !job->followed)
        fg_account_mark(&job->marks.restored);
    if (!job->restore.done || flow->sched.running.step) {
        fg_job_show(job, FG_PHASE_RESTORE);
        return 0; /* whom to follow is decided while no step runs */
    }
    rc = fg_follow_turn(flow, job, err);
    if (rc)
        return rc;
    if (job->leader || !job->restore.done ||
        (job->req.verify && fg_verify_pending(job->req.verify))) {
        fg_job_show(job, FG_PHASE_RESTORE);
        return 0;
    }
    job->brought = true;
    settle(flow, job);
    job->trail.last = fg_seq_length(job->seq) / FG_BLOCK_TOKENS;
    fg_job_show(job, FG_PHASE_PREFILL);
    if (job->account.completion_tokens == 0)
        fg_job_progress(job);
    return 0;
}

/* Is a state in the middle of a long prompt worth its bytes, where the last one lies behind `last`
 * blocks? */
static bool worth_a_state(const struct fg_flow *flow, uint32_t at, uint32_t last)
{
    const struct fg_prefix_cache *r = &flow->runner.prefix_cache;

    if (!r->cache || fg_rate_seconds(&flow->prefill_rate, 0, at) == 0)
        return at % STATE_SPACING == 0;
    return at >= last * FG_BLOCK_TOKENS + FG_POLICY_MIN_SPACING &&
           fg_store_admits(r, last, at / FG_BLOCK_TOKENS, FG_AT_SPACING);
}

/* The boundary at `at` whose state is kept for good: where a client wants one, where prompts part or are likely to, where the
 * prompt ends (and the last one that leaves a token to compute, should the same prompt come again),
 * and where it is worth it. FG_AT_BLOCK: none. */
static enum fg_boundary boundary_at(const struct fg_flow *flow, const struct fg_job *job,
                                    uint32_t at, uint32_t last)
{
    if (fg_hints_at(job, at))
        return FG_AT_HINT;
    if (at == job->part || fg_follow_wants_state(flow, job, at))
        return FG_AT_BRANCH;
    if (at == job->bounds[0])
        return FG_AT_SYSTEM_END;
    if (at == job->bounds[1] || at == job->bounds[2])
        return FG_AT_USER_START;
    if (at == job->n_prompt / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS ||
        at == (job->n_prompt - 1) / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS)
        return FG_AT_PROMPT_END;
    return worth_a_state(flow, at, last) ? FG_AT_SPACING : FG_AT_BLOCK;
}

/* Blocks before the last state on the way, once the first `from` tokens are computed. */
static uint32_t last_state(const struct fg_flow *flow, const struct fg_job *job, uint32_t from)
{
    bool kept = from > fg_seq_length(job->seq) && from % FG_BLOCK_TOKENS == 0 &&
                boundary_at(flow, job, from, job->trail.last) != FG_AT_BLOCK;

    return kept ? from / FG_BLOCK_TOKENS : job->trail.last;
}

uint32_t fg_prefill_span(const struct fg_flow *flow, const struct fg_job *job, uint32_t from,
                         uint32_t budget)
{
    uint32_t end = job->n_tokens, last_block = end / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS, last;

    if (end - from > budget) {
        end = (from + budget) / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS;
        if (end <= from)
            end = from + budget;
    }
    if (job->req.mode == FG_MODE_VERIFY)
        return fg_verify_span_end(job->req.verify, from, end) - from;
    if (!has_states(flow, job))
        return end - from;
    last = last_state(flow, job, from);
    for (uint32_t at = (from / FG_BLOCK_TOKENS + 1) * FG_BLOCK_TOKENS; at < end;
         at += FG_BLOCK_TOKENS)
        if (at == last_block || boundary_at(flow, job, at, last) != FG_AT_BLOCK)
            return at - from;
    return end - from;
}

static int keep(struct fg_flow *flow, struct fg_job *job, struct fg_err *err)
{
    const struct fg_prefix_cache *r = &flow->runner.prefix_cache;
    uint32_t at = fg_seq_length(job->seq);
    int rc = fg_store_blocks(r, &job->trail, job->seq, &job->prefix, job->tokens, err);

    if (rc || at % FG_BLOCK_TOKENS || !has_states(flow, job))
        return rc;
    job->trail.at = boundary_at(flow, job, at, job->trail.last);
    if (job->trail.at != FG_AT_BLOCK)
        return fg_store_state(r, &job->trail, job->seq, &job->prefix, job->tokens, err);
    /* Inside the answer: its last boundary is known only when it ends. */
    if (at > job->n_prompt)
        return fg_store_note_state(r, &job->trail, job->seq, &job->prefix, err);
    return 0;
}

int fg_prefill_keep(struct fg_flow *flow, struct fg_job *job, uint32_t from, struct fg_err *err)
{
    int rc = job->caching ? keep(flow, job, err) : 0;

    if (rc == 0 && job->req.mode == FG_MODE_VERIFY) {
        rc = fg_verify_look(job->req.verify, &flow->runner.prefix_cache, job->seq, err);
        job->brought = !fg_verify_pending(job->req.verify); /* it rests until they are compared */
    }
    if (rc == FG_EDEVICELOST)
        return rc;
    if (rc) {
        fg_job_log_cause(FG_LOG_WARN, job, err, "store=off");
        job->caching = false;
    }
    fg_job_show(job, job->account.completion_tokens ? FG_PHASE_DECODE : FG_PHASE_PREFILL);
    if (job->account.completion_tokens == 0 && from < job->n_prompt)
        fg_job_progress(job);
    return 0;
}
