/* Which jobs have a sequence, and which give theirs back. The GPU thread's. */
#ifndef FG_ADMIT_H
#define FG_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

struct fg_flow;
struct fg_job;
struct fg_err;

/* Moves waiting jobs into sequences while there are places and pages. */
void fg_admit_waiting(struct fg_flow *flow);
/* Sends the youngest active job but one back to wait, so that its pages can go. False when there is
 * only one. */
bool fg_admit_preempt(struct fg_flow *flow);
/* Takes job from the active list and lets it wait, to begin again. */
void fg_admit_send_back(struct fg_flow *flow, struct fg_job *job);
/* Takes job from the active list, its sequence dropped. */
void fg_admit_remove(struct fg_flow *flow, struct fg_job *job);
/* Takes job from the waiting list; nothing when it is not there. */
void fg_admit_withdraw(struct fg_flow *flow, struct fg_job *job);
/* Ends an active or waiting job with an error. */
void fg_admit_fail(struct fg_flow *flow, struct fg_job *job, const struct fg_err *err);
/* The device is lost: reopens it and lets every active job begin again, once. */
void fg_admit_recover(struct fg_flow *flow, const struct fg_err *cause);
/* Pages of `n` tokens. */
uint32_t fg_admit_pages(const struct fg_flow *flow, uint32_t n);

#endif
