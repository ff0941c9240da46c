#include "account.h"

#include "base/clock.h"

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
