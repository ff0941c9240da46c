/* The scheduler: which job computes what in the next step. The GPU thread's. */
#ifndef FG_SCHEDULE_H
#define FG_SCHEDULE_H

#include "base/ticket.h"
#include "batch.h"

struct fg_flow;
struct fg_job;
struct fg_verify;
struct fg_queue;

/* A job list by age. The GPU thread's. */
struct fg_sched {
    struct fg_job *waiting;               /* linked by next, lowest id first */
    struct fg_job *active[FG_MAX_ACTIVE]; /* have a sequence */
    uint32_t n_active;
    struct fg_tenant served;       /* whose job was admitted last */
    struct fg_job *ending;         /* linked by next: only their last events are missing */
    struct fg_verify *doubted;     /* linked by next_doubted: have found what is wrong */
    uint32_t turn;                 /* which prefilling job goes first rotates */
    struct fg_batch running, next; /* their step: NULL where none runs, none is prepared */
    struct fg_ticket ticket;       /* of the one that runs */
    bool ahead;                    /* the next one was planned, whether or not there were pages */
};

/* wake: what the thread sleeps on. */
void fg_sched_init(struct fg_sched *s, struct fg_queue *wake);
void fg_sched_finish(struct fg_sched *s);
void fg_sched_add(struct fg_sched *s, struct fg_job *job);
bool fg_sched_idle(const struct fg_sched *s);
/* One turn: what can be done beside the step that runs, or, once it has ended, what follows from it
 * and the next one's begin. False: there is nothing to do before the runner's queue wakes up. */
bool fg_sched_turn(struct fg_flow *flow);
/* Before job's sequence goes: lets go a prepared step that it is in. It is in none that runs. */
void fg_sched_unprepare(struct fg_sched *s, const struct fg_job *job);
/* Before all sequences go: no step runs or is prepared behind it. */
void fg_sched_stop(struct fg_flow *flow);

#endif
