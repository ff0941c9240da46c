/* fulgur-bench's subcommands: each parses its own arguments (argv[0] is its name) and returns the
 * exit code: 0, 1 for a failure, 2 for wrong usage, after a line on standard error. */
#ifndef FG_BENCH_H
#define FG_BENCH_H

/* Restore of a stored prefix against its prefill, and its rate against memcpy's. */
int bench_restore(int argc, char **argv);

#endif
