#include "guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

static _Thread_local sigjmp_buf *innermost;
static const int faults[] = {SIGBUS, SIGSEGV};
enum { FAULTS = sizeof faults / sizeof *faults };
static struct sigaction before[FAULTS];

void fg_guard_break(void)
{
    if (innermost)
        siglongjmp(*innermost, 1);
}

/* Nobody handled it: it does what it would have done. */
static void by_default(int sig)
{
    struct sigaction sa = {.sa_handler = SIG_DFL};

    sigaction(sig, &sa, NULL);
    raise(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    const struct sigaction *other = &before[sig == SIGBUS ? 0 : 1];

    /* Not what somebody sent, nor an address that no map can have (a smashed pointer of the heap,
     * whose lock may be held): none of these comes of a file that LMDB follows. */
    if (info->si_code > 0 && info->si_code != SI_KERNEL)
        fg_guard_break();
    if (other->sa_flags & SA_SIGINFO)
        other->sa_sigaction(sig, info, context);
    else if (other->sa_handler != SIG_DFL && other->sa_handler != SIG_IGN)
        other->sa_handler(sig);
    else
        by_default(sig);
}

void fg_guard_install(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct sigaction now;
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigemptyset(&sa.sa_mask);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < FAULTS; i++) {
        if (sigaction(faults[i], NULL, &now) != 0 ||
            (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault))
            continue;
        before[i] = now;
        sigaction(faults[i], &sa, NULL);
    }
    pthread_mutex_unlock(&lock);
}

void fg_guard_unblock(sigset_t *mask)
{
    for (int i = 0; i < FAULTS; i++)
        sigdelset(mask, faults[i]);
}

bool fg_guarded(void (*run)(void *ctx), void *ctx)
{
    sigjmp_buf *outer = innermost;
    sigjmp_buf here;

    /* With the mask: the jump leaves the handler, and the next fault must find its signal
     * unblocked. Not SA_NODEFER: ThreadSanitizer's handler in front of ours blocks everything all
     * the same. */
    if (sigsetjmp(here, 1)) {
        innermost = outer;
        return false;
    }
    innermost = &here;
    run(ctx);
    innermost = outer;
    return true;
}
