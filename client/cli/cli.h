/* The `fulgur` command: what its subcommands share. */
#ifndef FG_CLI_H
#define FG_CLI_H

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>

#include "fulgur/client.h"

/* Exit codes, as the help texts say. */
enum { FG_CLI_OK = 0, FG_CLI_ERROR = 1, FG_CLI_USAGE = 2, FG_CLI_INTERRUPTED = 130 };

/* One run of the program. */
struct fg_cli {
    const char *name; /* "fulgur run", before every error line */
    const char *help;
    struct fg_client_options connect;
};

struct fg_cli_command {
    const char *name, *summary, *help;
    /* argv[0] is the name for getopt's lines; returns the exit code. */
    int (*run)(struct fg_cli *cli, int argc, char **argv);
};
extern const struct fg_cli_command fg_cli_run, fg_cli_tokenize, fg_cli_detokenize, fg_cli_ps,
    fg_cli_cache, fg_cli_models, fg_cli_health, fg_cli_plan, fg_cli_tune, fg_cli_pull;

/* Every subcommand's option table ends with these, and its switch with fg_cli_option(). */
enum { FG_CLI_OPT_SOCKET = 1000, FG_CLI_OPT_URL, FG_CLI_OPT_KEY, FG_CLI_OPT_FIRST };
#define FG_CLI_OPTIONS                                                                             \
    {"socket", required_argument, NULL, FG_CLI_OPT_SOCKET},                                        \
        {"url", required_argument, NULL, FG_CLI_OPT_URL},                                          \
        {"api-key", required_argument, NULL, FG_CLI_OPT_KEY}, {"help", no_argument, NULL, 'h'},    \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }
#define FG_CLI_OPTIONS_HELP                                                                        \
    "  --socket PATH  the daemon's Unix socket (default: $FULGUR_SOCKET, else\n"                   \
    "                 $XDG_RUNTIME_DIR/fulgur/fulgur.sock, /run/fulgur/fulgur.sock or\n"           \
    "                 /tmp/fulgur-UID/fulgur.sock)\n"                                              \
    "  --url URL      a daemon on TCP instead, such as http://127.0.0.1:8080\n"                    \
    "  --api-key KEY  its key (default: $FULGUR_API_KEY)\n"                                        \
    "  -h, --help     show this\n"

/* Handles an option that is not the subcommand's own: -1 when it was one of FG_CLI_OPTIONS and the
 * parsing goes on, else the exit code to return (help was shown; getopt has complained). */
int fg_cli_option(struct fg_cli *cli, int opt);

/* Prints one line, and where to find help; returns FG_CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int fg_cli_usage(const struct fg_cli *cli, const char *fmt,
                                                       ...);
/* Prints err's line; returns FG_CLI_ERROR. */
int fg_cli_fail(const struct fg_cli *cli, const struct fg_err *err);

/* The whole of `text` as a number in low..high; FG_EINVAL after fg_cli_usage() naming `option`. */
int fg_cli_integer(const struct fg_cli *cli, const char *option, const char *text, int64_t low,
                   int64_t high, int64_t *out);
int fg_cli_number(const struct fg_cli *cli, const char *option, const char *text, double low,
                  double high, double *out);

/* Makes the client of cli->connect; the exit code, FG_CLI_OK on success. */
int fg_cli_connect(const struct fg_cli *cli, struct fg_client **out);

/* GETs `path` and prints the JSON as it came; the exit code. */
int fg_cli_print_json(const struct fg_cli *cli, const char *path);

#endif
