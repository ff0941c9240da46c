/* Account: what a job cost, by the clock and in tokens. Written by the thread that has the job. */
#ifndef FG_ACCOUNT_H
#define FG_ACCOUNT_H

#include "job.h"

/* Milliseconds of CLOCK_MONOTONIC. */
double fg_account_now(void);

/* When a job passed its stages; 0: not yet. A job that has to begin again keeps its first times. */
struct fg_marks {
    double submitted, admitted, restored, first_token, ended;
};

/* Sets *mark to now unless it is set. */
void fg_account_mark(double *mark);
/* Fills the times of `a` from the marks. */
void fg_account_times(const struct fg_marks *m, struct fg_job_account *a);

#endif
