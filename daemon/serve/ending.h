/* The last event of a job. The GPU thread's. */
#ifndef FG_ENDING_H
#define FG_ENDING_H

#include <stdbool.h>
#include <stdint.h>

struct fg_flow;
struct fg_job;
struct fg_err;

/* Sends DONE with job->finish. False: not yet, the store's reader still looks. */
bool fg_ending_done(struct fg_flow *flow, struct fg_job *job);
/* Sends FAILED. */
void fg_ending_failed(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err);
/* The job is in no list any more: the flow's reference goes, or does once DONE is sent. */
void fg_ending_leave(struct fg_flow *flow, struct fg_job *job);
/* Sends what can be sent by now. */
void fg_ending_turn(struct fg_flow *flow);

#endif
