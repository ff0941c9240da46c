/* What the daemon keeps for itself of the files, ports and system calls that there are
 * (base/sandbox.h). One thread. */
#ifndef FG_CONFINE_H
#define FG_CONFINE_H

#include <stdbool.h>

#include "config.h"
#include "fulgur/error.h"

struct fg_confined {
    int landlock; /* its version that is in force; 0: none */
    bool syscalls;
    char words[48]; /* for the log and the status: "landlock-6 seccomp", "off" */
};

/* Before the process starts a second thread. Makes the folders that c names, since what is made
 * later could not be written to. From now on the model, the driver's files, the folders of cache,
 * pipelines and socket, and the TCP port of c can be opened, nothing else. FG_EUNSUPPORTED: c asks
 * for it with `require`, and the kernel refuses; otherwise the log says what is missing. */
int fg_confine_files(const struct fg_config *c, const char *socket_path, struct fg_confined *out,
                     struct fg_err *err);
/* After the start has failed with `err`: the log says that the sandbox may be why, where it is in
 * force and something was not to be had that it may keep out of reach. */
void fg_confine_explain(const struct fg_confined *confined, const struct fg_config *c,
                        const struct fg_err *err);
/* When the device is open and all that starts programs has. As above. */
int fg_confine_syscalls(const struct fg_config *c, struct fg_confined *out, struct fg_err *err);

#endif
