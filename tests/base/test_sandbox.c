/* The sandbox: what is left to a process inside, and that one goes on where the kernel has none.
 * Each part runs in a child, which says what failed and ends with 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "tests/dir.h"

static char *home;

/* In a child. */
#define NEED(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #what, strerror(errno));       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)
#define FAILS(call, why)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        NEED((call) < 0 && errno == (why));                                                        \
    } while (0)

static const char *at(const char *name)
{
    static char path[4][512];
    static int turn;

    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", home, name);
    return path[turn];
}

static void put(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

static int begin(void **state)
{
    (void)state;
    home = dir_make();
    if (mkdir(at("mine"), 0700) || mkdir(at("read"), 0700) || mkdir(at("others"), 0700))
        return -1;
    put(at("mine/a"));
    put(at("read/a"));
    put(at("others/secret"));
    put(at("others/model"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    dir_remove(home);
    return 0;
}

static void in_child(void (*part)(void))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        part();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fail_msg("the child ended with status %#x", (unsigned)status);
}

static int landlock_abi(void)
{
    struct fg_sandbox s;
    struct fg_err err;
    int abi;

    (void)fg_sandbox_begin(&s, &err);
    abi = s.abi;
    fg_sandbox_leave(&s);
    return abi;
}

static void enter(uint16_t port)
{
    struct fg_sandbox s;
    struct fg_err err = {0};

    NEED(fg_sandbox_begin(&s, &err) == 0);
    fg_sandbox_allow(&s, at("mine"), FG_SANDBOX_WRITE);
    fg_sandbox_allow(&s, at("read"), FG_SANDBOX_READ);
    fg_sandbox_allow(&s, at("others/model"), FG_SANDBOX_READ);
    fg_sandbox_allow(&s, at("not-there"), FG_SANDBOX_READ);
    fg_sandbox_allow(&s, "/dev/null", FG_SANDBOX_DEVICE);
    if (port)
        fg_sandbox_allow_port(&s, port);
    NEED(fg_sandbox_enter(&s, &err) == 0);
}

static void *look_around(void *arg)
{
    (void)arg;
    FAILS(open(at("others/secret"), O_RDONLY), EACCES);
    FAILS(open("/etc/passwd", O_RDONLY), EACCES);
    NEED(open(at("others/model"), O_RDONLY) >= 0);
    return NULL;
}

static void files_part(void)
{
    pthread_t thread;
    char *args[] = {"true", NULL};
    int open_before = open(at("others/secret"), O_RDONLY | O_CLOEXEC);
    char c;

    NEED(open_before >= 0);
    enter(0);
    look_around(NULL);
    NEED(pthread_create(&thread, NULL, look_around, NULL) == 0 && pthread_join(thread, NULL) == 0);
    NEED(read(open_before, &c, 1) == 1);
    NEED(open("/dev/null", O_WRONLY) >= 0);
    NEED(open(at("read/a"), O_RDONLY) >= 0);
    FAILS(open(at("read/a"), O_WRONLY), EACCES);
    FAILS(open(at("read/b"), O_WRONLY | O_CREAT, 0600), EACCES);
    FAILS(unlink(at("read/a")), EACCES);
    FAILS(open(at("others"), O_RDONLY | O_DIRECTORY), EACCES);
    FAILS(open(at("others/model"), O_WRONLY), EACCES);
    NEED(open(at("mine/b"), O_RDWR | O_CREAT, 0600) >= 0);
    NEED(rename(at("mine/b"), at("mine/a")) == 0 && truncate(at("mine/a"), 0) == 0);
    NEED(mkdir(at("mine/d"), 0700) == 0 && open(at("mine/d/e"), O_RDWR | O_CREAT, 0600) >= 0);
    NEED(unlink(at("mine/d/e")) == 0 && rmdir(at("mine/d")) == 0 && unlink(at("mine/a")) == 0);
    FAILS(execv("/bin/true", args), EACCES);
}

static void test_files(void **state)
{
    (void)state;
    if (!landlock_abi())
        skip();
    in_child(files_part);
}

static int bind_to(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc, e;

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rc = bind(fd, (struct sockaddr *)&sa, sizeof sa);
    e = errno;
    close(fd);
    errno = e;
    return rc;
}

static void ports_part(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    enter(54321);
    NEED(bind_to(54321) == 0 || errno == EADDRINUSE);
    FAILS(bind_to(54322), EACCES);
    FAILS(bind_to(0), EACCES);
    FAILS(connect(fd, (struct sockaddr *)&sa, sizeof sa), EACCES);
}

static void test_ports(void **state)
{
    (void)state;
    if (landlock_abi() < 4)
        skip();
    in_child(ports_part);
}

static void signals_part(void)
{
    enter(0);
    NEED(kill(getpid(), 0) == 0);
    FAILS(kill(getppid(), 0), EPERM);
}

static void test_signals(void **state)
{
    (void)state;
    if (landlock_abi() < 6)
        skip();
    in_child(signals_part);
}

/* --- system calls --- */

static sem_t go, done;

static void refused_calls(void)
{
    char *args[] = {"true", NULL};
    struct {
        uint64_t flags[11];
    } clone3 = {{0}};

    FAILS(execv("/bin/true", args), EPERM);
#if !defined(__SANITIZE_ADDRESS__)
    FAILS(ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM);
#endif
    FAILS(unshare(CLONE_NEWNS), EPERM);
    FAILS(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM);
    FAILS(syscall(435, &clone3, sizeof clone3), ENOSYS);
    FAILS(syscall(SYS_bpf, 0, NULL, 0), EPERM);
    FAILS(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0), EPERM);
    FAILS(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0), EPERM);
    FAILS(syscall(SYS_userfaultfd, 0), EPERM);
    FAILS(syscall(425, 1, NULL), EPERM);
    FAILS(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
    FAILS(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL), EPERM);
#ifdef __x86_64__
    FAILS(syscall(0x40000000 + 39), ENOSYS);
#endif
}

/* Was there before the filter. */
static void *wait_and_try(void *arg)
{
    (void)arg;
    sem_wait(&go);
    refused_calls();
    sem_post(&done);
    return NULL;
}

static void *nothing(void *arg)
{
    return arg;
}

static void syscalls_part(void)
{
    struct fg_err err = {0};
    pthread_t early, late;
    void *page;
    pid_t pid;
    int status;

    sem_init(&go, 0, 0);
    sem_init(&done, 0, 0);
    NEED(pthread_create(&early, NULL, wait_and_try, NULL) == 0);
    NEED(fg_sandbox_syscalls(&err) == 0);
    refused_calls();
    sem_post(&go);
    NEED(pthread_join(early, NULL) == 0);
    /* What is needed goes on. */
    NEED(pthread_create(&late, NULL, nothing, NULL) == 0 && pthread_join(late, NULL) == 0);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(page != MAP_FAILED);
    NEED(open(at("others/secret"), O_RDONLY) >= 0 && memfd_create("m", 0) >= 0);
    pid = fork();
    NEED(pid >= 0);
    if (pid == 0)
        _exit(0);
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
}

/* The kernel says no to a filter of the process's own, or to this test in its container. */
static bool has_seccomp(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &(uint32_t){SECCOMP_RET_ERRNO}) == 0;
}

static void test_syscalls(void **state)
{
    (void)state;
    if (!has_seccomp())
        skip();
    in_child(syscalls_part);
}

/* --- where the kernel has none of it --- */

/* From now on these calls fail so in this process. */
static void without(int first, int first_errno, int second, int second_errno)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)first, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)first_errno),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)second, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)second_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};

    NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void try_without(int landlock_errno, const char *says)
{
    struct fg_sandbox s;
    struct fg_err err = {0};

    without(444, landlock_errno, SYS_seccomp, EPERM);
    NEED(fg_sandbox_begin(&s, &err) == FG_EUNSUPPORTED && strstr(err.text, says));
    NEED(s.abi == 0);
    fg_sandbox_allow(&s, at("mine"), FG_SANDBOX_WRITE);
    fg_sandbox_allow_port(&s, 1);
    NEED(fg_sandbox_enter(&s, &err) == FG_EUNSUPPORTED);
    NEED(fg_sandbox_syscalls(&err) == FG_EUNSUPPORTED && strstr(err.text, "seccomp"));
    NEED(open(at("others/secret"), O_RDONLY) >= 0);
}

static void none_part(void)
{
    try_without(ENOSYS, "the kernel has none");
}

static void off_part(void)
{
    try_without(EOPNOTSUPP, "switched off");
}

static void refused_part(void)
{
    try_without(EPERM, "not permitted");
}

static void test_without(void **state)
{
    (void)state;
    if (!has_seccomp())
        skip();
    in_child(none_part);
    in_child(off_part);
    in_child(refused_part);
}

static void memory_part(void)
{
    int filter =
        open("/proc/self/coredump_filter", O_RDONLY); /* what kinds of memory are in a dump */
    char bits[32] = "";

    NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
    NEED(pread(filter, bits, sizeof bits - 1, 0) > 0 && strtoul(bits, NULL, 16) != 0);
    fg_sandbox_hide_memory();
    NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    NEED(pread(filter, bits, sizeof bits - 1, 0) > 0 && strtoul(bits, NULL, 16) == 0);
}

static void test_memory(void **state)
{
    (void)state;
    in_child(memory_part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, begin, end),
        cmocka_unit_test_setup_teardown(test_ports, begin, end),
        cmocka_unit_test_setup_teardown(test_signals, begin, end),
        cmocka_unit_test_setup_teardown(test_syscalls, begin, end),
        cmocka_unit_test_setup_teardown(test_without, begin, end),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
