#include "account.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"

double fg_account_now(void)
{
    return fg_clock_ms();
}

void fg_account_mark(double *mark)
{
    if (*mark == 0)
        *mark = fg_account_now();
}

static double between(double from, double to)
{
    return from > 0 && to > from ? to - from : 0;
}

void fg_account_times(const struct fg_marks *m, struct fg_job_account *a)
{
    /* A job without an answer (max_tokens 0) spends all its time on the prompt. */
    double first = m->first_token > 0 ? m->first_token : m->ended;

    a->queue_ms = between(m->submitted, m->admitted);
    a->restore_ms = between(m->admitted, m->restored);
    a->prefill_ms = between(m->restored, first);
    a->first_token_ms = between(m->submitted, m->first_token);
    a->decode_ms = between(m->first_token, m->ended);
}

void fg_account_log(uint64_t job, const struct fg_job_account *a, enum fg_finish_reason finish)
{
    fg_log(FG_LOG_INFO, "flow",
           "job=%" PRIu64 " finish=%s prompt=%u reused=%u recomputed=%u source=%s reason=%s "
           "diverged_at=%" PRId64 " generated=%u queue_ms=%.1f restore_ms=%.1f prefill_ms=%.1f "
           "first_token_ms=%.1f decode_ms=%.1f",
           job, finish == FG_FINISH_STOP ? "stop" : "length", a->prompt_tokens, a->reused_tokens,
           a->recomputed_tokens, fg_source_name(a->source), fg_reason_name(a->why.reason),
           a->why.diverged_at, a->completion_tokens, a->queue_ms, a->restore_ms, a->prefill_ms,
           a->first_token_ms, a->decode_ms);
}
