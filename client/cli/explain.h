/* fulgur cache explain: what a prompt would find in the cache, and why not more. */
#ifndef FG_CLI_EXPLAIN_H
#define FG_CLI_EXPLAIN_H

#include "cli.h"

/* argv[0] is the name for getopt's lines; returns the exit code. */
int fg_cli_explain(struct fg_cli *cli, int argc, char **argv);

#endif
