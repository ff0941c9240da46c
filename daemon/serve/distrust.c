#include "distrust.h"
#include "admit.h"
#include "flow_state.h"
#include "job_state.h"
#include "sweep.h"

/* What was reused turned out to be nothing. */
static void begin_anew(struct fg_flow *flow, struct fg_job *job)
{
    job->anew = true;
    job->account.reused_tokens = 0;
    job->account.recomputed_tokens = job->n_prompt;
    job->account.source = FG_SOURCE_NONE;
    fg_admit_send_back(flow, job);
}

void fg_distrust(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err)
{
    uint32_t took = job->restore.target;
    bool again = took && job->account.completion_tokens == 0;

    if (took) {
        atomic_fetch_add(&flow->bad_prefixes, 1);
        fg_job_log_cause(FG_LOG_ERROR, job, err, "prefix=bad tokens=%u action=dropped next=%s",
                         took * FG_BLOCK_TOKENS, again ? "compute_anew" : "fail");
    }
    /* What it left there is as bad, also where it took nothing. */
    if (!job->disowned && (took || job->caching))
        fg_sweep_prefix(flow, &job->prefix);
    job->caching = false;
    if (again)
        begin_anew(flow, job);
    else
        fg_admit_fail(flow, job, err);
}
