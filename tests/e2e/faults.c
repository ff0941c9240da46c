/* Preloaded into the daemon: faults that a test cannot cause otherwise while files are open. What
 * to do stands in the file that FG_FAULTS names, read at each call:
 *
 *   readonly PATH          what is written below PATH fails with EROFS, as on a file system that
 *                          the kernel has remounted read-only after an error
 *   filesize BYTES PATH    what is written below PATH beyond BYTES of a file meets a limit on file
 *                          sizes (RLIMIT_FSIZE): SIGXFSZ for the thread, and EFBIG. The real limit
 *                          would hit the memory of software drivers too, which is a file
 *   rate BYTES             what LMDB finds takes its size's time at so many bytes a second, as on a
 *                          slow disk: its reads are page faults, which nobody can delay
 *   seek MS PATH           each pread below PATH takes so long besides
 *   corrupt WORD           LMDB's next look-up fails with MDB_CORRUPTED; once for each new WORD
 *   stop WHERE N PATH      the process stops (SIGSTOP) at the N-th write below PATH of the kind
 *                          WHERE: data (before LMDB writes records), commit (before it writes the
 *                          page that makes a transaction valid) or committed (after that)
 *   clock SECONDS          the time of day is off by so much
 *   try WORD FILE RESULTS  at LMDB's next look-up or write the thread tries what an attacker would:
 *                          to read and to write FILE, to start a program, to be traced; RESULTS
 * gets a line each, with 0 or the error's name; once for each new WORD
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The value of the control file's line `key VALUE`; false when there is none. */
static bool fault(const char *key, char *value, size_t size)
{
    const char *path = getenv("FG_FAULTS");
    char text[2 * PATH_MAX];
    ssize_t n = 0;
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        n = syscall(SYS_read, fd, text, sizeof text - 1);
        syscall(SYS_close, fd);
    }
    text[n > 0 ? n : 0] = '\0';
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ' ') {
            snprintf(value, size, "%s", line + strlen(key) + 1);
            return true;
        }
    return false;
}

static bool refused(const char *path)
{
    char below[PATH_MAX];
    if (!fault("readonly", below, sizeof below) || strncmp(path, below, strlen(below)) != 0)
        return false;
    errno = EROFS;
    return true;
}

static void path_of(int fd, char path[PATH_MAX])
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
}

/* Whether a file may not become so long. */
static bool too_long(const char *path, off_t end)
{
    char value[PATH_MAX + 32], *below;
    if (!fault("filesize", value, sizeof value))
        return false;
    off_t limit = strtoll(value, &below, 10);
    if (end <= limit || *below != ' ' || strncmp(path, below + 1, strlen(below + 1)) != 0)
        return false;
    pthread_kill(pthread_self(), SIGXFSZ);
    errno = EFBIG;
    return true;
}

enum { META_PAGES = 2 * 4096 }; /* of an LMDB file; the rest is data */

/* Stops the process when `kind` of a write to the file comes for the N-th time. */
static void stop_at(const char *kind, const char *path)
{
    static atomic_uint seen;
    char value[PATH_MAX + 32], where[16];
    unsigned n;
    int at = 0;

    if (!fault("stop", value, sizeof value) || sscanf(value, "%15s %u %n", where, &n, &at) != 2)
        return;
    if (strcmp(where, kind) != 0 || strncmp(path, value + at, strlen(value + at)) != 0)
        return;
    if (atomic_fetch_add(&seen, 1) + 1 == n)
        raise(SIGSTOP);
}

/* In a child, which has the thread's limits: 0, or an errno. */
static int attempt(const char *what, const char *path)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        char *const args[] = {"true", NULL}, *const env[] = {NULL};
        bool traced = strcmp(what, "ptrace") == 0, done;

        if (strcmp(what, "exec") == 0)
            execve("/bin/true", args, env);
        done = traced ? ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0
                      : syscall(SYS_openat, AT_FDCWD, path,
                                strcmp(what, "read") == 0 ? O_RDONLY : O_WRONLY) >= 0;
        _exit(done ? 0 : errno);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return ECHILD;
    return WEXITSTATUS(status);
}

static const char *name_of(int e)
{
    return e == 0 ? "0" : e == EACCES ? "EACCES" : e == EPERM ? "EPERM" : "another";
}

static void try_all(void)
{
    static const char *const attempts[] = {"read", "write", "exec", "ptrace"};
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char last[64];
    char value[2 * PATH_MAX + 64], word[64], path[PATH_MAX], results[PATH_MAX], text[256] = "";
    bool again;
    size_t n = 0;
    int fd;

    if (!fault("try", value, sizeof value) ||
        sscanf(value, "%63s %4095s %4095s", word, path, results) != 3)
        return;
    pthread_mutex_lock(&lock);
    again = strcmp(last, word) == 0;
    snprintf(last, sizeof last, "%s", word);
    pthread_mutex_unlock(&lock);
    if (again)
        return;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s %s\n", attempts[i],
                              name_of(attempt(attempts[i], path)));
    snprintf(path, sizeof path, "%.4000s.new", results);
    fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && syscall(SYS_write, fd, text, n) == (long)n)
        syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, results, 0);
    if (fd >= 0)
        syscall(SYS_close, fd);
}

/* To be called before a write, and after it with its result. False: it is refused. */
static bool may_write(int fd, off_t at, size_t n)
{
    char path[PATH_MAX];
    path_of(fd, path);
    try_all();
    if (refused(path) || too_long(path, at + (off_t)n))
        return false;
    stop_at(at < META_PAGES ? "commit" : "data", path);
    return true;
}

static ssize_t wrote(int fd, off_t at, ssize_t result)
{
    char path[PATH_MAX];
    int saved = errno;
    path_of(fd, path);
    if (result >= 0 && at < META_PAGES)
        stop_at("committed", path);
    errno = saved;
    return result;
}

static off_t position(int fd)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at < 0 ? 0 : at;
}

static size_t length(const struct iovec *v, int n)
{
    size_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i].iov_len;
    return sum;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n)
{
    off_t at = position(fd);
    return may_write(fd, at, n) ? wrote(fd, at, syscall(SYS_write, fd, p, n)) : -1;
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    off_t at = position(fd);
    return may_write(fd, at, length(v, n)) ? wrote(fd, at, syscall(SYS_writev, fd, v, n)) : -1;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return may_write(fd, at, n) ? wrote(fd, at, REAL(pwrite)(fd, p, n, at)) : -1;
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    return may_write(fd, at, length(v, n)) ? wrote(fd, at, REAL(pwritev)(fd, v, n, at)) : -1;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return may_write(fd, at, n) ? wrote(fd, at, REAL(pwrite64)(fd, p, n, at)) : -1;
}

static bool may_resize(int fd, off_t size)
{
    char path[PATH_MAX];
    path_of(fd, path);
    return !refused(path) && !too_long(path, size);
}

int ftruncate(int fd, off_t size)
{
    return may_resize(fd, size) ? REAL(ftruncate)(fd, size) : -1;
}

int ftruncate64(int fd, off64_t size)
{
    return may_resize(fd, size) ? REAL(ftruncate64)(fd, size) : -1;
}

/* The time that the disk takes. */
static void take(double seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds};
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

static void seek(int fd)
{
    char value[PATH_MAX + 32], path[PATH_MAX], *below;
    if (!fault("seek", value, sizeof value))
        return;
    long ms = strtol(value, &below, 10);
    path_of(fd, path);
    if (*below == ' ' && strncmp(path, below + 1, strlen(below + 1)) == 0)
        take((double)ms / 1e3);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    seek(fd);
    return REAL(pread)(fd, p, n, at);
}

ssize_t pread64(int fd, void *p, size_t n, off64_t at)
{
    seek(fd);
    return REAL(pread64)(fd, p, n, at);
}

/* Whether this look-up is the first one since the control file says so. */
static bool corrupt(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char last[64];
    char word[64] = "";
    bool found = fault("corrupt", word, sizeof word);

    pthread_mutex_lock(&lock);
    found = found && strcmp(last, word) != 0;
    if (found)
        snprintf(last, sizeof last, "%s", word);
    pthread_mutex_unlock(&lock);
    return found;
}

int mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    char bytes[32];
    try_all();
    if (corrupt())
        return MDB_CORRUPTED;
    int rc = REAL(mdb_get)(txn, dbi, key, data);
    if (rc == 0 && fault("rate", bytes, sizeof bytes))
        take((double)data->mv_size / strtod(bytes, NULL));
    return rc;
}

int rename(const char *from, const char *to)
{
    return refused(to) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    return refused(path) ? -1 : REAL(unlink)(path);
}

/* The mode is passed on whether there is one or not. */
int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    return (flags & O_ACCMODE) != O_RDONLY && refused(path) ? -1 : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    return (flags & O_ACCMODE) != O_RDONLY && refused(path) ? -1 : REAL(open64)(path, flags, mode);
}

static time_t offset(void)
{
    char seconds[32];
    return fault("clock", seconds, sizeof seconds) ? strtol(seconds, NULL, 10) : 0;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);
    if (rc == 0 && id == CLOCK_REALTIME)
        t->tv_sec += offset();
    return rc;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}
