#include "dir.h"
#include "handle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* The lock file's content: one line, so that a directory can be told from a foreign one, and its
 * version from ours, without trusting the data file. */
#define TAG_FORMAT "fulgur-cache %u\n"
#define DAMAGED_PREFIX FG_DATA_FILE ".damaged-"
#define FORMAT_PREFIX FG_DATA_FILE ".format-"

static void read_tag(struct fg_cache *c, unsigned *version)
{
    char buf[64];
    ssize_t n = pread(c->lock_fd, buf, sizeof buf - 1, 0);

    *version = 0;
    if (n <= 0)
        return;
    buf[n] = '\0';
    if (sscanf(buf, TAG_FORMAT, version) != 1)
        *version = 0;
}

int fg_dir_tag(struct fg_cache *c, struct fg_err *err)
{
    char buf[64];
    int n = snprintf(buf, sizeof buf, TAG_FORMAT, (unsigned)FG_FORMAT_VERSION);

    errno = EIO;
    if (ftruncate(c->lock_fd, 0) != 0 || pwrite(c->lock_fd, buf, (size_t)n, 0) != n ||
        fsync(c->lock_fd) != 0 || fsync(c->dir_fd) != 0)
        return fg_fail(err, fg_errno_code(errno), "%s/%s: cannot write: %s", c->opt.dir,
                       FG_LOCK_FILE, strerror(errno));
    c->ours = true;
    return 0;
}

int fg_dir_check_file(struct fg_cache *c, int fd, const char *name, struct fg_err *err)
{
    char path[400];

    snprintf(path, sizeof path, "%s/%s", c->opt.dir, name);
    return fg_check_private(fd, path, err);
}

static int take_lock(struct fg_cache *c, unsigned *earlier, struct fg_err *err)
{
    const char *dir = c->opt.dir;
    unsigned version;
    int rc;

    c->lock_fd = openat(c->dir_fd, FG_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c->lock_fd < 0)
        return fg_fail(err, fg_errno_code(errno), "cache directory %s: cannot open %s/%s: %s", dir,
                       dir, FG_LOCK_FILE, strerror(errno));
    rc = fg_dir_check_file(c, c->lock_fd, FG_LOCK_FILE, err);
    if (rc)
        return rc;
    if (flock(c->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return fg_fail(err, FG_EBUSY,
                           "cache directory %s is in use by another process; give this one "
                           "another directory or stop that one",
                           dir);
        return fg_fail(err, fg_errno_code(errno), "%s/%s: cannot lock: %s", dir, FG_LOCK_FILE,
                       strerror(errno));
    }
    read_tag(c, &version);
    c->ours = version == FG_FORMAT_VERSION;
    *earlier = version && version < FG_FORMAT_VERSION ? version : 0;
    if (version > FG_FORMAT_VERSION)
        return fg_fail(err, FG_EFORMAT,
                       "cache directory %s has format %u, this build reads and writes format %u; "
                       "use another directory, or remove this one to begin anew",
                       dir, version, (unsigned)FG_FORMAT_VERSION);
    return 0;
}

int fg_dir_open(struct fg_cache *c, unsigned *earlier, struct fg_err *err)
{
    const char *dir = c->opt.dir;
    struct stat st;
    struct fg_err why;
    int rc = fg_make_dirs(dir, 0700, &why);

    if (rc)
        return fg_fail(err, rc, "cache directory %s: %.400s", dir, why.text);
    c->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0)
        return fg_fail(err, fg_errno_code(errno), "cache directory %s: %s", dir, strerror(errno));
    rc = fg_check_private(c->dir_fd, dir, &why);
    if (rc)
        return fg_fail(err, rc, "cache directory %.450s", why.text);
    if (fstat(c->dir_fd, &st) == 0 && (st.st_mode & 077))
        fg_cache_logf(c, FG_CACHE_LOG_WARN,
                      "event=open_permissions dir=%s mode=%04o hint=\"others may look in; 0700 "
                      "is right\"",
                      dir, (unsigned)st.st_mode & 0777);
    return take_lock(c, earlier, err);
}

void fg_dir_close(struct fg_cache *c)
{
    if (c->lock_fd >= 0)
        close(c->lock_fd);
    if (c->dir_fd >= 0)
        close(c->dir_fd);
    c->dir_fd = c->lock_fd = -1;
}

/* `path` below `dir` leads to something else than `fd`, or to nothing. */
static bool leads_elsewhere(int dir, const char *path, int flags, int fd)
{
    struct stat at, open;

    if (fd < 0 || fstat(fd, &open) != 0)
        return true;
    if (fstatat(dir, path, &at, flags) != 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    return at.st_dev != open.st_dev || at.st_ino != open.st_ino;
}

const char *fg_dir_replaced(struct fg_cache *c, int data_fd)
{
    if (leads_elsewhere(AT_FDCWD, c->opt.dir, 0, c->dir_fd))
        return "the cache directory was moved, removed or replaced";
    if (leads_elsewhere(c->dir_fd, FG_LOCK_FILE, AT_SYMLINK_NOFOLLOW, c->lock_fd))
        return "the lock file was moved, removed or replaced";
    if (data_fd >= 0 && leads_elsewhere(c->dir_fd, FG_DATA_FILE, AT_SYMLINK_NOFOLLOW, data_fd))
        return "the data file was moved, removed or replaced";
    return NULL;
}

enum sweep { LOOK, REMOVE_OTHERS, REMOVE_ALL };

/* The number of the newest damaged file that was moved aside. Others than `keep`, or all and files
 * of earlier formats too, are removed: they are copies of a cache, and each may be as large as the
 * budget. */
static unsigned long sweep_aside(struct fg_cache *c, enum sweep what, unsigned long keep)
{
    int fd = openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    unsigned long newest = 0;
    struct dirent *ent;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while ((ent = readdir(d))) {
        bool damaged = strncmp(ent->d_name, DAMAGED_PREFIX, strlen(DAMAGED_PREFIX)) == 0;
        bool earlier = strncmp(ent->d_name, FORMAT_PREFIX, strlen(FORMAT_PREFIX)) == 0;
        unsigned long n = damaged ? strtoul(ent->d_name + strlen(DAMAGED_PREFIX), NULL, 10) : 0;

        newest = n > newest ? n : newest;
        if (!((damaged || earlier) && what == REMOVE_ALL) &&
            !(damaged && what == REMOVE_OTHERS && n != keep))
            continue;
        if (unlinkat(c->dir_fd, ent->d_name, 0) == 0)
            fg_cache_logf(c, FG_CACHE_LOG_INFO, "event=removed file=%s/%s", c->opt.dir,
                          ent->d_name);
    }
    closedir(d);
    return newest;
}

void fg_dir_remove_aside(struct fg_cache *c)
{
    sweep_aside(c, REMOVE_ALL, 0);
}

int fg_dir_move_aside(struct fg_cache *c, const char *why, struct fg_err *err)
{
    char name[64], cause[256];
    unsigned long n = sweep_aside(c, LOOK, 0) + 1;

    /* `why` may lie in err. */
    snprintf(cause, sizeof cause, "%s", why);
    snprintf(name, sizeof name, DAMAGED_PREFIX "%lu", n);
    if (renameat(c->dir_fd, FG_DATA_FILE, c->dir_fd, name) != 0 || fsync(c->dir_fd) != 0)
        return fg_fail(err, fg_errno_code(errno),
                       "%s/%s is damaged (%s) and could not be moved aside: %s", c->opt.dir,
                       FG_DATA_FILE, cause, strerror(errno));
    fg_cache_logf(c, FG_CACHE_LOG_ERROR,
                  "event=damaged file=%s/%s kept_as=%s reason=\"%s\" action=\"begins empty\"",
                  c->opt.dir, FG_DATA_FILE, name, cause);
    sweep_aside(c, REMOVE_OTHERS, n);
    return 0;
}
