/* SIGINT during a call: the first cancels it, the second ends the program. */
#ifndef FG_CLI_INTERRUPT_H
#define FG_CLI_INTERRUPT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fulgur/client.h"

struct fg_cli_interrupt {
    struct fg_client *client;
    pthread_t thread;
    sigset_t before;
    bool watching;
    atomic_bool seen; /* whether SIGINT came */
};

/* Begins to watch, in a thread of its own; before other threads start. Where SIGINT was ignored
 * when the program started (nohup, a job in the background) it stays so. FG_EBUSY: no thread to be
 * had. */
int fg_cli_interrupt_init(struct fg_cli_interrupt *i, struct fg_client *client);
/* Stops watching; SIGINT is as before. The client must still be there. */
void fg_cli_interrupt_finish(struct fg_cli_interrupt *i);

#endif
