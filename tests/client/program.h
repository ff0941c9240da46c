/* The `fulgur` command run as a program, for its tests: standard streams, terminals, exit code. */
#ifndef FG_TEST_PROGRAM_H
#define FG_TEST_PROGRAM_H

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "scripted_server.h"

/* One run of the program. */
struct run {
    struct scripted_server server;
    const char *input; /* standard input; NULL: /dev/null */
    const char *args[16];
    const char *terminal; /* the path of a terminal for standard error, or NULL */
    const char *screen;   /* one for standard output, or NULL */
    char out[8192], err[8192];
    int code; /* 128 + N: killed by signal N */
};

static char program[512];

/* Where the program is; false, said aloud, when it was not built. */
static inline int find_program(void **state)
{
    const char *dir = getenv("FG_BIN_DIR");

    (void)state;
#ifdef FG_TEST_CLI
    snprintf(program, sizeof program, "%s", FG_TEST_CLI);
#endif
    if (dir) {
        snprintf(program, sizeof program, "%s/fulgur", dir);
    }
    if (access(program, X_OK) != 0) {
        print_message("SKIP: no fulgur command at '%s': set FG_BIN_DIR\n", program);
        program[0] = '\0';
    }
    return 0;
}

static inline void need_program(void)
{
    if (!program[0]) {
        print_message("SKIP: the fulgur command was not built\n");
        skip();
    }
}

/* The child's side: standard streams, environment, exec. */
static inline void become_program(const struct run *r, int in, int out, int err)
{
    char *argv[18] = {program};

    for (size_t i = 0; i < 16 && r->args[i]; i++) {
        argv[i + 1] = (char *)r->args[i];
    }
    if (r->terminal) {
        err = open(r->terminal, O_RDWR | O_NOCTTY);
    }
    if (r->screen) {
        out = open(r->screen, O_RDWR | O_NOCTTY);
    }
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    setenv("FULGUR_SOCKET", r->server.path, 1);
    unsetenv("FULGUR_API_KEY");
    signal(SIGINT, SIG_DFL);
    execv(program, argv);
    _exit(127);
}

static inline int temporary(const char *content)
{
    int fd = memfd_create("fulgur-test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    if (content) {
        assert_int_equal(write(fd, content, strlen(content)), strlen(content));
        lseek(fd, 0, SEEK_SET);
    }
    return fd;
}

/* Reads fd to its end (or to `stop_after`, a text) into out. */
static inline void read_text(int fd, char *out, size_t room, const char *stop_after)
{
    size_t n = strlen(out);
    ssize_t k;

    while (n + 1 < room && (k = read(fd, out + n, room - 1 - n)) > 0) {
        n += (size_t)k;
        out[n] = '\0';
        if (stop_after && strstr(out, stop_after)) {
            return;
        }
    }
}

/* Runs the program. With `interrupt_after`, sends SIGINT once that is in its output. */
static inline void go(struct run *r, const char *interrupt_after)
{
    int in = temporary(r->input), err = temporary(NULL), out[2], status = 0;

    r->out[0] = r->err[0] = '\0';
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(out[0]);
        become_program(r, in, out[1], err);
    }
    assert_true(pid > 0);
    close(out[1]);
    if (interrupt_after) {
        read_text(out[0], r->out, sizeof r->out, interrupt_after);
        kill(pid, SIGINT);
    }
    read_text(out[0], r->out, sizeof r->out, NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    lseek(err, 0, SEEK_SET);
    read_text(err, r->err, sizeof r->err, NULL);
    r->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    close(in);
    close(err);
    close(out[0]);
}

/* Runs against a server with one script; scripted_server_finish() is the caller's. */
static inline void serve_and_go(struct run *r, const struct script *script,
                                const char *interrupt_after)
{
    need_program();
    scripted_server_start(&r->server, script, 1);
    go(r, interrupt_after);
    scripted_server_stop(&r->server);
}

static inline void check(const struct run *r, int code, const char *out, const char *err)
{
    if (r->code != code || strcmp(r->out, out) != 0 || strcmp(r->err, err) != 0) {
        fail_msg("exit %d\nout: %s\nerr: %s", r->code, r->out, r->err);
    }
}

/* A pseudo-terminal; the test is skipped, said aloud, where there is none. */
static inline int open_terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        print_message("SKIP: no pseudo-terminal to be had\n");
        skip();
    }
    return master;
}

#endif
