/* The way of a prompt into its sequence. The GPU thread's. */
#ifndef FG_PREFILL_H
#define FG_PREFILL_H

#include <stdbool.h>
#include <stdint.h>

struct fg_flow;
struct fg_job;
struct fg_err;

/* Brings in the next piece of job's stored prefix. The errors of fg_restore_advance(). */
int fg_prefill_restore(struct fg_flow *flow, struct fg_job *job, struct fg_err *err);
/* Tokens of job's span that begins behind `from` of them, at most `budget`: ends at a boundary
 * where a state is wanted, at a chunk's end, or at the end of what is known. */
uint32_t fg_prefill_span(const struct fg_flow *flow, const struct fg_job *job, uint32_t from,
                         uint32_t budget);
/* After a step that began behind `from` of job's tokens: keeps blocks and states, tells progress.
 * FG_EDEVICELOST; other failures of the caches only end the job's caching. */
int fg_prefill_keep(struct fg_flow *flow, struct fg_job *job, uint32_t from, struct fg_err *err);

#endif
