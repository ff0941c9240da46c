#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock's numbers, which are the same on every architecture: the C library's headers may be
 * older than the kernel (linux/landlock.h, man 7 landlock). */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446, ASK_VERSION = 1 };
enum { RULE_PATH = 1, RULE_PORT = 2 };
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_FIFO = 1 << 10,
    FS_MAKE_BLOCK = 1 << 11,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,    /* abi 2 */
    FS_TRUNCATE = 1 << 14, /* abi 3 */
};
enum { NET_BIND = 1 << 0, NET_CONNECT = 1 << 1 };               /* abi 4 */
enum { SCOPE_ABSTRACT_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1 }; /* abi 6 */

struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_rule {
    uint64_t access;
    int32_t parent_fd;
} __attribute__((packed));
struct port_rule {
    uint64_t access, port;
};

/* Those of FS_* that are about a file, not about what is in a folder. */
enum { OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE };

static uint64_t known_fs(int abi)
{
    uint64_t all = (FS_MAKE_SYM << 1) - 1;

    return all | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0);
}

static int unsupported(const char *what, int e, struct fg_err *err)
{
    const char *why = e == ENOSYS       ? "the kernel has none"
                      : e == EOPNOTSUPP ? "it is switched off in the kernel"
                                        : strerror(e);

    return fg_fail(err, FG_EUNSUPPORTED, "%s: %s", what, why);
}

int fg_sandbox_begin(struct fg_sandbox *s, struct fg_err *err)
{
    long abi = syscall(CREATE_RULESET, NULL, (size_t)0, ASK_VERSION);
    struct ruleset r;
    size_t bytes;

    *s = (struct fg_sandbox){.fd = -1};
    if (abi < 1)
        return unsupported("Landlock", errno, err);
    r = (struct ruleset){.fs = known_fs((int)abi)};
    if (abi >= 4)
        r.net = NET_BIND | NET_CONNECT;
    if (abi >= 6)
        r.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
    /* An older kernel refuses more bytes than it knows, unless they are zeros: none are sent. */
    bytes = abi >= 6 ? sizeof r : abi >= 4 ? 2 * sizeof r.fs : sizeof r.fs;
    s->fd = (int)syscall(CREATE_RULESET, &r, bytes, 0);
    if (s->fd < 0)
        return unsupported("Landlock", errno, err);
    s->abi = (int)abi;
    return 0;
}

void fg_sandbox_allow(struct fg_sandbox *s, const char *path, enum fg_sandbox_access access)
{
    struct path_rule rule = {.access = FS_READ_FILE | FS_READ_DIR};
    struct stat st;

    if (s->fd < 0)
        return;
    if (access != FG_SANDBOX_READ)
        rule.access |= FS_WRITE_FILE | FS_TRUNCATE;
    if (access == FG_SANDBOX_WRITE)
        rule.access |= FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK |
                       FS_MAKE_SYM | FS_REFER;
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.access &= OF_FILES;
    rule.access &= known_fs(s->abi);
    (void)syscall(ADD_RULE, s->fd, RULE_PATH, &rule, 0); /* else it stays forbidden */
    close(rule.parent_fd);
}

void fg_sandbox_allow_port(struct fg_sandbox *s, uint16_t port)
{
    struct port_rule rule = {.access = NET_BIND, .port = port};

    if (s->fd >= 0 && s->abi >= 4)
        (void)syscall(ADD_RULE, s->fd, RULE_PORT, &rule, 0);
}

int fg_sandbox_enter(struct fg_sandbox *s, struct fg_err *err)
{
    int rc = 0;

    if (s->fd < 0)
        return unsupported("Landlock", ENOSYS, err);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(RESTRICT_SELF, s->fd, 0) != 0)
        rc = unsupported("Landlock", errno, err);
    fg_sandbox_leave(s);
    return rc;
}

void fg_sandbox_leave(struct fg_sandbox *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void fg_sandbox_hide_memory(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC); /* core(5) */

    if (fd >= 0) {
        if (write(fd, "0", 1) != 1) {
            /* The kernel's own dumps are off all the same. */
        }
        close(fd);
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
