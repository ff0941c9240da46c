/* A gate for threads of the store, in front of what they call: whoever comes to it while it is shut
 * waits. One a process. */
#ifndef GATE_H
#define GATE_H

/* Waits while it is shut: by the thread that is to be held. */
void gate_pass(void);
void gate_shut(void);
/* Returns once somebody waits. */
void gate_wait(void);
void gate_open(void);

#endif
