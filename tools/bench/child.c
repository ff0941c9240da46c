#include "child.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAIL_BYTES = 240, COMMAND_BYTES = 160 };

extern char **environ;

/* The whole of f, or NULL. */
static char *read_all(FILE *f, size_t *n)
{
    long end = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
    char *text = end < 0 ? NULL : malloc((size_t)end + 1);
    rewind(f);
    if (text && fread(text, 1, (size_t)end, f) != (size_t)end) {
        free(text);
        return NULL;
    }
    if (text)
        text[end] = '\0';
    *n = text ? (size_t)end : 0;
    return text;
}

/* The last bytes of f as one line: " | " between lines. */
static void read_tail(FILE *f, char tail[TAIL_BYTES])
{
    size_t n, at = 0;
    char *text = read_all(f, &n), *from = text;
    tail[0] = '\0';
    if (!text)
        return;
    while (n > 0 && strchr("\r\n ", text[n - 1]))
        text[--n] = '\0';
    if (n > TAIL_BYTES / 2)
        from += n - TAIL_BYTES / 2;
    for (; *from && at + 4 < TAIL_BYTES; from++) {
        if (*from == '\n')
            at += (size_t)sprintf(tail + at, " | ");
        else if ((unsigned char)*from >= ' ')
            tail[at++] = *from;
    }
    tail[at] = '\0';
    free(text);
}

static void write_command(char *const *argv, char command[COMMAND_BYTES])
{
    size_t at = 0;
    for (; *argv && at < COMMAND_BYTES; argv++)
        at += (size_t)snprintf(command + at, COMMAND_BYTES - at, "%s%s", at ? " " : "", *argv);
}

static int start(char *const *argv, FILE *out, FILE *errors, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    int rc = posix_spawn_file_actions_init(&files);
    if (rc)
        return rc;
    rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", 0, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, fileno(out), STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, fileno(errors), STDERR_FILENO);
    if (rc == 0)
        rc = posix_spawn(pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int run(char *const *argv, FILE *out, FILE *errors, struct fg_err *err)
{
    char tail[TAIL_BYTES], command[COMMAND_BYTES];
    int status, rc;
    pid_t pid;

    write_command(argv, command);
    rc = start(argv, out, errors, &pid);
    if (rc)
        return fg_fail(err, FG_ENOTFOUND, "%s: cannot be started: %s", command, strerror(rc));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fg_fail(err, FG_EIO, "%s: %s", command, strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    read_tail(errors, tail);
    return fg_fail(err, FG_EIO, "%s: ended with %s %d; the end of its standard error: %s", command,
                   WIFSIGNALED(status) ? "signal" : "code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                   tail[0] ? tail : "(nothing)");
}

int child_run(char *const *argv, char **out, size_t *n, struct fg_err *err)
{
    FILE *stdout_file = tmpfile(), *errors = tmpfile();
    int rc = 0;

    *out = NULL;
    *n = 0;
    if (!stdout_file || !errors)
        rc = fg_fail(err, FG_EIO, "a temporary file: %s", strerror(errno));
    if (rc == 0)
        rc = run(argv, stdout_file, errors, err);
    if (rc == 0) {
        *out = read_all(stdout_file, n);
        if (!*out)
            rc = fg_fail(err, FG_ENOMEM, "%s: its output cannot be read", argv[0]);
    }
    if (stdout_file)
        fclose(stdout_file);
    if (errors)
        fclose(errors);
    return rc;
}
