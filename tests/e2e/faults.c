/* Preloaded into the daemon: faults that a test cannot cause otherwise while files are open. What
 * to do stands in the file that FG_FAULTS names, read at each call:
 *
 *   readonly PATH          what is written below PATH fails with EROFS, as on a file system that
 *                          the kernel has remounted read-only after an error
 *   filesize BYTES PATH    what is written below PATH beyond BYTES of a file meets a limit on file
 *                          sizes (RLIMIT_FSIZE): SIGXFSZ for the thread, and EFBIG. The real limit
 *                          would hit the memory of software drivers too, which is a file
 *   clock SECONDS          the time of day is off by so much
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
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

/* Whether writing so far into the file is refused. */
static bool refused_fd(int fd, off_t end)
{
    char path[PATH_MAX];
    path_of(fd, path);
    return refused(path) || too_long(path, end);
}

static off_t position(int fd)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at < 0 ? 0 : at;
}

static off_t length(const struct iovec *v, int n)
{
    off_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += (off_t)v[i].iov_len;
    return sum;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n)
{
    return refused_fd(fd, position(fd) + (off_t)n) ? -1 : syscall(SYS_write, fd, p, n);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    return refused_fd(fd, position(fd) + length(v, n)) ? -1 : syscall(SYS_writev, fd, v, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return refused_fd(fd, at + (off_t)n) ? -1 : REAL(pwrite)(fd, p, n, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    return refused_fd(fd, at + length(v, n)) ? -1 : REAL(pwritev)(fd, v, n, at);
}

int ftruncate(int fd, off_t size)
{
    return refused_fd(fd, size) ? -1 : REAL(ftruncate)(fd, size);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return refused_fd(fd, at + (off_t)n) ? -1 : REAL(pwrite64)(fd, p, n, at);
}

int ftruncate64(int fd, off64_t size)
{
    return refused_fd(fd, size) ? -1 : REAL(ftruncate64)(fd, size);
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
