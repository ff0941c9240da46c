/* The filter of system calls. It lists what is refused: what a Vulkan driver needs differs from one
 * to the next and from year to year, and a list of what is allowed would break with each. */
#include "sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define LOOKS_FOR_LEAKS
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define LOOKS_FOR_LEAKS
#endif

#ifdef ARCHITECTURE

static const int refused[] = {
    /* programs */
    SYS_execve,
    SYS_execveat,
/* other processes; the search for leaks at the end of a sanitized process stops it by ptrace */
#ifndef LOOKS_FOR_LEAKS
    SYS_ptrace,
#endif
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    438 /* pidfd_getfd */,
    440 /* process_madvise */,
    SYS_perf_event_open,
    /* namespaces, mounts */
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    428 /* open_tree */,
    429 /* move_mount */,
    430 /* fsopen */,
    431 /* fsconfig */,
    432 /* fsmount */,
    433 /* fspick */,
    442 /* mount_setattr */,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    /* the kernel */
    SYS_bpf,
    SYS_userfaultfd,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    SYS_syslog,
    425 /* io_uring_setup: its operations pass no filter */,
    426,
    427,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
    SYS_iopl,
    SYS_ioperm,
#endif
    /* keys, names, the clock */
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
};

/* Namespaces that clone() makes. */
enum {
    NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                 CLONE_NEWPID | CLONE_NEWNET
};

enum { N_REFUSED = sizeof refused / sizeof *refused, MOST = 2 * N_REFUSED + 32 };

struct filter {
    struct sock_filter code[MOST];
    unsigned short n;
};

static void add(struct filter *f, struct sock_filter step)
{
    f->code[f->n++] = step;
}

static void add_load(struct filter *f, size_t offset)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static void add_return(struct filter *f, unsigned what)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* Where the comparison holds, the next `steps` steps are taken, else passed over. */
static void add_if(struct filter *f, unsigned short comparison, unsigned value, uint8_t steps)
{
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | comparison | BPF_K, value, 0, steps));
}

static void refuse(struct filter *f, unsigned call, int with)
{
    add_if(f, BPF_JEQ, call, 1);
    add_return(f, SECCOMP_RET_ERRNO | (unsigned)with);
}

/* Little-endian: the low half of an argument comes first. */
static size_t argument(int i)
{
    return offsetof(struct seccomp_data, args) + 8 * (size_t)i;
}

static void write_filter(struct filter *f)
{
    add_load(f, offsetof(struct seccomp_data, arch));
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    add_return(f, SECCOMP_RET_ERRNO | ENOSYS);
    add_load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    add_if(f, BPF_JGE, 0x40000000, 1); /* the calls of x32, under other numbers */
    add_return(f, SECCOMP_RET_ERRNO | ENOSYS);
#endif
    for (size_t i = 0; i < N_REFUSED; i++)
        refuse(f, (unsigned)refused[i], EPERM);
    /* Its flags lie in memory, where no filter sees them; the C library then asks clone(). */
    refuse(f, 435 /* clone3 */, ENOSYS);
    add_if(f, BPF_JEQ, SYS_clone, 4);
    add_load(f, argument(0));
    add_if(f, BPF_JSET, NAMESPACES, 1);
    add_return(f, SECCOMP_RET_ERRNO | EPERM);
    add_return(f, SECCOMP_RET_ALLOW);
    /* Words put into the terminal that the daemon was started from would be typed there. */
    add_if(f, BPF_JEQ, SYS_ioctl, 5);
    add_load(f, argument(1));
    add_if(f, BPF_JEQ, TIOCSTI, 1);
    add_return(f, SECCOMP_RET_ERRNO | EPERM);
    add_if(f, BPF_JEQ, TIOCLINUX, 1);
    add_return(f, SECCOMP_RET_ERRNO | EPERM);
    add_return(f, SECCOMP_RET_ALLOW);
}

int fg_sandbox_syscalls(struct fg_err *err)
{
    struct filter f = {.n = 0};
    struct sock_fprog program = {.filter = f.code};
    long rc;

    write_filter(&f);
    program.len = f.n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fg_fail(err, FG_EUNSUPPORTED, "seccomp: %s", strerror(errno));
    rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (rc > 0) /* a thread that has a filter of its own */
        return fg_fail(err, FG_EUNSUPPORTED, "seccomp: thread %ld does not take the filter", rc);
    return rc < 0 ? fg_fail(err, FG_EUNSUPPORTED, "seccomp: %s", strerror(errno)) : 0;
}

#else

int fg_sandbox_syscalls(struct fg_err *err)
{
    return fg_fail(err, FG_EUNSUPPORTED, "seccomp: this architecture's calls are not known");
}

#endif
