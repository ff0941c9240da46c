/* What the subcommands of fulgur-eval share. */
#ifndef FG_EVAL_H
#define FG_EVAL_H

#include <getopt.h>

#include "gpu/device.h"
#include "model/engine.h"

/* Exit codes. */
enum { EVAL_OK = 0, EVAL_ERROR = 1, EVAL_USAGE = 2 };

/* Each gets argv from its own name on and returns an exit code. */
int eval_devices(int argc, char **argv);
int eval_logits(int argc, char **argv);
int eval_compile(int argc, char **argv);
int eval_perplexity(int argc, char **argv);

/* One line on stderr; returns EVAL_ERROR. */
__attribute__((format(printf, 1, 2))) int eval_fail(const char *fmt, ...);

#endif
