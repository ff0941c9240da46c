#include "tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/siphash.h"

static const char file_name[] = FG_TENANT_SECRET_FILE, new_name[] = FG_TENANT_SECRET_FILE ".new";

/* True when the file is there and has the right size. */
static bool read_secret(int dir, uint8_t secret[FG_SECRET_BYTES])
{
    int fd = openat(dir, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    uint8_t buf[FG_SECRET_BYTES + 1];
    ssize_t n = fd >= 0 ? read(fd, buf, sizeof buf) : -1;

    if (fd >= 0)
        close(fd);
    if (n != FG_SECRET_BYTES) {
        if (fd >= 0)
            fg_log(FG_LOG_WARN, "flow", "tenants=forgotten file=%s cause=\"not %d bytes\"",
                   file_name, FG_SECRET_BYTES);
        return false;
    }
    memcpy(secret, buf, FG_SECRET_BYTES);
    return true;
}

/* All of the file or none of it, also when the power fails. 0 or an errno. */
static int write_secret(int dir, const uint8_t secret[FG_SECRET_BYTES])
{
    int fd, e = 0;

    unlinkat(dir, new_name, 0);
    fd = openat(dir, new_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    errno = ENOSPC; /* of a short write */
    if (write(fd, secret, FG_SECRET_BYTES) != FG_SECRET_BYTES || fsync(fd) != 0)
        e = errno;
    close(fd);
    if (!e && (renameat(dir, new_name, dir, file_name) != 0 || fsync(dir) != 0))
        e = errno;
    if (e)
        unlinkat(dir, new_name, 0);
    return e;
}

int fg_tenant_secret(const char *path, uint8_t secret[FG_SECRET_BYTES], struct fg_err *err)
{
    int dir = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, e = dir < 0 ? errno : 0;
    int rc = 0;

    if (dir >= 0 && read_secret(dir, secret))
        goto out;
    if (getrandom(secret, FG_SECRET_BYTES, 0) != FG_SECRET_BYTES)
        rc = fg_fail(err, FG_EIO, "no random bits for the tenants: %s", strerror(errno));
    else if (dir >= 0)
        e = write_secret(dir, secret);
    if (rc == 0 && path && e)
        fg_log(FG_LOG_WARN, "flow",
               "tenants=volatile file=%s/%s cause=\"%s\" hint=\"what is stored now is not found "
               "after a restart\"",
               path, file_name, strerror(e));
out:
    if (dir >= 0)
        close(dir);
    return rc;
}

void fg_tenant_derive(const uint8_t secret[FG_SECRET_BYTES], const char *who, struct fg_tenant *out)
{
    fg_siphash128(secret, who, strlen(who), out->id);
}
