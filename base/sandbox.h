/* Takes from this process what it does not need, so that whoever finds a way in gains little: files
 * and TCP ports by Landlock, system calls by a seccomp filter. Both are the kernel's, and last
 * until the process ends. Where the kernel or a container refuses them, nothing has changed.
 *
 *   begin, allow..., enter     while the process has one thread: it holds for this one and for
 * those that it starts syscalls                   when the device is open: it holds for all threads
 */
#ifndef FG_SANDBOX_H
#define FG_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "fulgur/error.h"

enum fg_sandbox_access {
    FG_SANDBOX_READ,   /* files, and the folders that lead to them */
    FG_SANDBOX_DEVICE, /* files that are there are written as well */
    FG_SANDBOX_WRITE,  /* files, folders and sockets are also made, renamed and removed below it */
};

/* Between begin and enter. */
struct fg_sandbox {
    int fd;  /* the kernel's ruleset; -1: none */
    int abi; /* what of Landlock the kernel knows; 0: it has none */
};

/* FG_EUNSUPPORTED: the kernel has no Landlock, or it is switched off or refused; err says which.
 * The sandbox may be used on, and does nothing. */
int fg_sandbox_begin(struct fg_sandbox *s, struct fg_err *err);
/* What lies below a folder, or a file (what it is now: one that is renamed over it is another). A
 * path that is not there is passed over. */
void fg_sandbox_allow(struct fg_sandbox *s, const char *path, enum fg_sandbox_access access);
/* A port that TCP sockets may be bound to; 0: one that the kernel chooses. */
void fg_sandbox_allow_port(struct fg_sandbox *s, uint16_t port);
/* From now on nothing else: no other file is opened, made or removed, no program is started, and,
 * where the kernel knows that, no TCP port is bound or connected to (abi 4) and no signal and no
 * abstract Unix socket reaches another process (abi 6). What is open stays so. Ends *s.
 * FG_EUNSUPPORTED: nothing has changed. */
int fg_sandbox_enter(struct fg_sandbox *s, struct fg_err *err);
/* Ends *s without entering. */
void fg_sandbox_leave(struct fg_sandbox *s);

/* From now on the calls that a daemon has no use for fail with EPERM in every thread: those that
 * start programs, look into other processes, change namespaces, mounts, the kernel or its keys.
 * FG_EUNSUPPORTED: the machine's architecture is not known here, or the filter was refused. */
int fg_sandbox_syscalls(struct fg_err *err);

/* No dump of this process's memory is written, and its user's other processes do not look into it;
 * where root makes a dump (gcore), no kind of memory is in it. Goes before fg_sandbox_enter(),
 * behind which /proc is out of reach. */
void fg_sandbox_hide_memory(void);

#endif
