#include "interrupt.h"

#include <string.h>

/* A thread that waits, rather than a handler: fg_client_cancel() may not run in one. */
static void *watch(void *arg)
{
    struct fg_cli_interrupt *i = arg;
    sigset_t set;
    int signal_number;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    while (sigwait(&set, &signal_number) == 0) {
        if (atomic_exchange(&i->seen, true)) {
            pthread_sigmask(SIG_UNBLOCK, &set, NULL);
            signal(SIGINT, SIG_DFL);
            raise(SIGINT);
        }
        fg_client_cancel(i->client);
    }
    return NULL;
}

int fg_cli_interrupt_init(struct fg_cli_interrupt *i, struct fg_client *client)
{
    struct sigaction action;
    sigset_t set;

    memset(i, 0, sizeof *i);
    i->client = client;
    atomic_init(&i->seen, false);
    if (sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
        return 0;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, &i->before);
    if (pthread_create(&i->thread, NULL, watch, i) != 0) {
        pthread_sigmask(SIG_SETMASK, &i->before, NULL);
        return FG_EBUSY;
    }
    i->watching = true;
    return 0;
}

void fg_cli_interrupt_finish(struct fg_cli_interrupt *i)
{
    if (i->watching) {
        pthread_cancel(i->thread); /* sigwait is a cancellation point */
        pthread_join(i->thread, NULL);
        pthread_sigmask(SIG_SETMASK, &i->before, NULL);
        i->watching = false;
    }
}
