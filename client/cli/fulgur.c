/* fulgur: the command line of the fulgur daemon. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct fg_cli_command *const commands[] = {
    &fg_cli_run,    &fg_cli_tokenize, &fg_cli_detokenize, &fg_cli_ps,   &fg_cli_cache,
    &fg_cli_models, &fg_cli_health,   &fg_cli_plan,       &fg_cli_pull, &fg_cli_tune,
};
enum { n_commands = sizeof commands / sizeof commands[0] };

static int show_help(void)
{
    puts("Usage: fulgur [OPTION]... COMMAND [ARGUMENT]...\n"
         "Talks to a running fulgurd, and fetches models for it.\n"
         "\n"
         "Commands (each has --help):");
    for (size_t i = 0; i < n_commands; i++) {
        printf("  %-13s%s\n", commands[i]->name, commands[i]->summary);
    }
    puts("\n"
         "Options, before or after the command:\n" FG_CLI_OPTIONS_HELP
         "  --version      show the version\n"
         "\n"
         "Exit codes: 0 done, 1 error, 2 wrong usage, 130 interrupted.");
    return FG_CLI_OK;
}

static int dispatch(struct fg_cli *cli, int argc, char **argv)
{
    char name[64];

    for (size_t i = 0; i < n_commands; i++) {
        if (strcmp(argv[0], commands[i]->name) == 0) {
            snprintf(name, sizeof name, "fulgur %s", commands[i]->name);
            cli->name = argv[0] = name;
            cli->help = commands[i]->help;
            optind = 0; /* glibc: start over, with another table */
            return commands[i]->run(cli, argc, argv);
        }
    }
    return fg_cli_usage(cli, "no command '%s'", argv[0]);
}

static int parse(int argc, char **argv)
{
    enum { OPT_VERSION = FG_CLI_OPT_FIRST };
    static const struct option options[] = {
        {"version", no_argument, NULL, OPT_VERSION},
        FG_CLI_OPTIONS,
    };
    struct fg_cli cli = {.name = "fulgur"};
    char own_name[] = "fulgur";
    int opt;

    if (argc > 0) {
        argv[0] = own_name;
    }
    while ((opt = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
        if (opt == OPT_VERSION) {
            printf("fulgur %s\n", fg_version());
            return FG_CLI_OK;
        }
        if (opt == 'h') {
            return show_help();
        }
        int code = fg_cli_option(&cli, opt);
        if (code >= 0) {
            return code;
        }
    }
    if (optind >= argc) {
        return fg_cli_usage(&cli, "no command given");
    }
    return dispatch(&cli, argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
    int code = parse(argc, argv);

    /* A full disk shows only here. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (code == FG_CLI_OK) {
            fprintf(stderr, "fulgur: standard output: %s\n", strerror(errno));
            code = FG_CLI_ERROR;
        }
    }
    return code;
}
