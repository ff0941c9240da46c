#include "fulgur/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fulgur/error.h"

static int put_path(char *path, size_t bytes, const char *dir, const char *file)
{
    int n = snprintf(path, bytes, "%s%s", dir, file);
    if (n < 0 || (size_t)n >= bytes || n >= FG_SOCKET_PATH_MAX) {
        if (bytes > 0) {
            path[0] = '\0';
        }
        return FG_EINVAL;
    }
    return 0;
}

/* Whether /run/fulgur is this machine's: a socket that is there, or, for the daemon that will make
 * it, a directory that it may write (systemd's RuntimeDirectory=). */
static int system_socket_usable(void)
{
    return access("/run/fulgur/fulgur.sock", F_OK) == 0 || access("/run/fulgur", W_OK | X_OK) == 0;
}

int fg_default_socket_path(char *path, size_t bytes)
{
    const char *env = getenv("FULGUR_SOCKET");
    if (env && *env) {
        return put_path(path, bytes, env, "");
    }
    /* Root's environment is often another user's (su, sudo -E): its runtime directory is not used.
     */
    env = getenv("XDG_RUNTIME_DIR");
    if (env && env[0] == '/' && geteuid() != 0) {
        return put_path(path, bytes, env, "/fulgur/fulgur.sock");
    }
    if (system_socket_usable()) {
        return put_path(path, bytes, "/run/fulgur/fulgur.sock", "");
    }

    char dir[64];
    snprintf(dir, sizeof dir, "/tmp/fulgur-%lu", (unsigned long)geteuid());
    int rc = put_path(path, bytes, dir, "/fulgur.sock");
    if (rc < 0) {
        return rc;
    }
    /* Whoever made the directory first could listen in it and read prompts. */
    struct stat st;
    if (lstat(dir, &st) == 0 &&
        (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)) {
        return FG_EACCESS;
    }
    return 0;
}
