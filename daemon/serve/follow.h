/* Follow: jobs that need the same prefix at the same moment compute it once.
 *
 * A job whose prefix goes on in what another active job is about to compute waits for it: it takes
 * over blocks as they come, and where states are needed also the state at the boundary where the
 * two part, which the other leaves there because somebody waits for it. When the other ends, fails
 * or is sent back, the job goes on from what is there by then. Of two jobs at most one waits for
 * the other: a job waits only for one that is not behind it, and of two that are equally far the
 * older one computes. The runner's thread. */
#ifndef FG_FOLLOW_H
#define FG_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "fulgur/error.h"

struct fg_flow;
struct fg_job;

/* Would a waiting job follow an active one, were it admitted now? */
bool fg_follow_would(const struct fg_flow *flow, const struct fg_job *job);
/* The active job, whose restore has ended, follows: sets job->leader (NULL: nobody computes what it
 * needs next) and takes what has come meanwhile. The errors of fg_restore_advance(). */
int fg_follow_turn(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);
/* Does somebody wait for the state of `job` at token `at`? */
bool fg_follow_wants_state(const struct fg_flow *flow, const struct fg_job *job, uint32_t at);
/* job's sequence is about to go before it was done: what those that follow it need is kept. */
void fg_follow_abandon(struct fg_flow *flow, struct fg_job *job);
/* The youngest active job that follows and has computed nothing, whose place another one could use;
 * NULL when there is none. */
struct fg_job *fg_follow_idle(const struct fg_flow *flow);

#endif
