/* A guard around LMDB. LMDB reads its file through a map: when somebody else cuts the file,
 * touching what is gone is SIGBUS; where its pages make no sense, it asserts, and aborts, or
 * follows an offset out of the map or a page, which is SIGSEGV. Inside a guard both end the guarded
 * call instead, and nothing else. What the call held is lost (LMDB's environment has to be
 * abandoned, not closed); so it must hold no lock of ours, and may leak.
 *
 * Faults elsewhere go to whoever handled them before. Any thread that does not block SIGBUS
 * and SIGSEGV. */
#ifndef FG_CACHE_GUARD_H
#define FG_CACHE_GUARD_H

#include <signal.h>
#include <stdbool.h>

/* Takes the process's SIGBUS and SIGSEGV, unless it has them; before the first guard, and again
 * when somebody else may have taken it since. */
void fg_guard_install(void);
/* Takes the guard's signals out of what a thread is to block. */
void fg_guard_unblock(sigset_t *mask);
/* Runs it; false when it was cut short. Guards nest. */
bool fg_guarded(void (*run)(void *ctx), void *ctx);
/* Cuts short the innermost guard of this thread. Returns only outside of all. */
void fg_guard_break(void);

#endif
