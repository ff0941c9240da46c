/* A program run to its end, its output kept. */
#ifndef FG_CHILD_H
#define FG_CHILD_H

#include <stddef.h>

#include "fulgur/error.h"

/* Runs the file argv[0] with argv (NULL ends it), without a shell, an empty standard input and this
 * process's environment, and waits. *out gets what it printed, with a 0 behind it; the caller frees
 * it. A failure's err names the command and the end of what it wrote to standard error:
 * FG_ENOTFOUND (it cannot be started), FG_EIO (it ended with another code than 0, or by a signal;
 * temporary files), FG_ENOMEM. */
int child_run(char *const *argv, char **out, size_t *n, struct fg_err *err);

#endif
