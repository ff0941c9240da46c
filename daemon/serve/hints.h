/* Hints: where a client says that its prompt will be asked for again. A state is kept there, on
 * models that have states, and what is kept stays for the client's time, as far as the store has
 * room (fg_cache_hold). They change nothing else. The GPU thread. */
#ifndef FG_HINTS_H
#define FG_HINTS_H

#include <stdbool.h>
#include <stdint.h>

struct fg_flow;
struct fg_job;

/* Is there one at that boundary, in tokens? */
bool fg_hints_at(const struct fg_job *job, uint32_t at);
/* What was reused is known: tells the store what is to stay, and the account what is written. */
void fg_hints_settle(const struct fg_flow *flow, struct fg_job *job);

#endif
