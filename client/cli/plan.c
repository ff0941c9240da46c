/* fulgur plan and fulgur tune: what a model would take on a device, and what it runs best with.
 * fulgurd knows; these find and become it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const char plan_help[] =
    "Usage: fulgur plan MODEL [OPTION]...\n"
    "Shows what a model would take on a device, and whether it fits. Nothing is loaded, and no\n"
    "daemon need run: the fulgurd beside this program, or the one on PATH, computes it.\n"
    "\n"
    "  --device WHICH    GPU: its number, or a part of its name (default: the best one)\n"
    "  -c, --ctx N       tokens of the longest sequence\n"
    "  --parallel N      requests computed at a time\n"
    "  --kv f16|f32      type of the stored keys and values\n"
    "  --numerics MODE   exact, int8 or fused\n"
    "  --batch N         tokens of a step\n"
    "  --vram-size SIZE  how much KV pages and saved states may take\n"
    "  --json            as JSON\n"
    "  -h, --help        show this\n"
    "\n"
    "Exit codes: 0 it fits, 1 error, 2 wrong usage, 3 it does not fit.\n";

static const char tune_help[] =
    "Usage: fulgur tune MODEL [OPTION]...\n"
    "Measures anew how the model's matrix products are best spread on a device, for 20 seconds at\n"
    "most, prints it, and keeps it for every later start of fulgurd. No bit of an answer changes.\n"
    "A daemon that runs takes it up when it is started again.\n"
    "\n"
    "  --device WHICH    GPU: its number, or a part of its name (default: the best one)\n"
    "  --numerics MODE   exact, int8 or fused: each is tuned by itself\n"
    "  --cache-dir DIR   the daemon's, where it is kept\n"
    "  --json            as JSON\n"
    "  -h, --help        show this\n";

enum { MAX_ARGS = 64, PATH_BYTES = 4096 };

/* The fulgurd in this program's directory; false when there is none. */
static bool find_beside(char path[PATH_BYTES])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_BYTES - sizeof "fulgurd");
    char *slash;

    if (n <= 0) {
        return false;
    }
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (!slash) {
        return false;
    }
    strcpy(slash + 1, "fulgurd");
    return access(path, X_OK) == 0;
}

/* Returns only when that failed. */
static int become_daemon(const struct fg_cli *cli, char **args)
{
    char path[PATH_BYTES];

    fflush(stdout);
    if (find_beside(path)) {
        execv(path, args);
        fprintf(stderr, "%s: %s: %s\n", cli->name, path, strerror(errno));
        return FG_CLI_ERROR;
    }
    execvp("fulgurd", args);
    fprintf(stderr, "%s: fulgurd: %s; it lies neither beside this program nor on PATH\n", cli->name,
            strerror(errno));
    return FG_CLI_ERROR;
}

enum { OPT_JSON = FG_CLI_OPT_FIRST, OPT_PASSED };

/* Passes the options, and the one argument as the model, to `fulgurd action`. */
static int pass_on(struct fg_cli *cli, int argc, char **argv, char *action,
                   const struct option *options)
{
    char *args[MAX_ARGS] = {"fulgurd", action}, words[MAX_ARGS][16];
    int n = 2, opt, index = 0;

    while ((opt = getopt_long(argc, argv, "c:h", options, &index)) != -1) {
        if (n + 5 > MAX_ARGS) {
            return fg_cli_usage(cli, "too many options");
        }
        if (opt == OPT_JSON) {
            args[n++] = "--json";
        } else if (opt == OPT_PASSED || opt == 'c') {
            snprintf(words[n], sizeof words[n], "--%s", opt == 'c' ? "ctx" : options[index].name);
            args[n] = words[n];
            args[n + 1] = optarg;
            n += 2;
        } else {
            int code = fg_cli_option(cli, opt);
            if (code >= 0) {
                return code;
            }
        }
    }
    if (optind + 1 != argc) {
        return fg_cli_usage(cli, "should have one argument, the model's file");
    }
    args[n++] = "--model";
    args[n++] = argv[optind];
    args[n] = NULL;
    return become_daemon(cli, args);
}

static int run_plan(struct fg_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"device", required_argument, NULL, OPT_PASSED},
        {"ctx", required_argument, NULL, OPT_PASSED},
        {"parallel", required_argument, NULL, OPT_PASSED},
        {"kv", required_argument, NULL, OPT_PASSED},
        {"numerics", required_argument, NULL, OPT_PASSED},
        {"batch", required_argument, NULL, OPT_PASSED},
        {"vram-size", required_argument, NULL, OPT_PASSED},
        {"json", no_argument, NULL, OPT_JSON},
        FG_CLI_OPTIONS,
    };

    return pass_on(cli, argc, argv, "--plan", options);
}

static int run_tune(struct fg_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"device", required_argument, NULL, OPT_PASSED},
        {"numerics", required_argument, NULL, OPT_PASSED},
        {"cache-dir", required_argument, NULL, OPT_PASSED},
        {"json", no_argument, NULL, OPT_JSON},
        FG_CLI_OPTIONS,
    };

    return pass_on(cli, argc, argv, "--tune", options);
}

const struct fg_cli_command fg_cli_plan = {"plan", "show what a model would take on a device",
                                           plan_help, run_plan};
const struct fg_cli_command fg_cli_tune = {
    "tune", "measure what a model runs best with on a device", tune_help, run_tune};
