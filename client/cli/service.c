/* fulgur ps, models, health: what the daemon is and does. */
#include "cli.h"

#define JSON_HELP "  --json         print the daemon's JSON as it is\n"
#define EXIT_HELP "\nExit codes: 0 done, 1 error, 2 wrong usage.\n"

static const char ps_help[] = "Usage: fulgur ps [OPTION]...\n"
                              "Shows the model, the device, and the jobs under way.\n"
                              "\n" JSON_HELP FG_CLI_OPTIONS_HELP EXIT_HELP;
static const char models_help[] = "Usage: fulgur models [OPTION]...\n"
                                  "Lists the models that the daemon serves.\n"
                                  "\n" JSON_HELP FG_CLI_OPTIONS_HELP EXIT_HELP;
static const char health_help[] =
    "Usage: fulgur health [OPTION]...\n"
    "Says whether the daemon takes requests.\n"
    "\n" FG_CLI_OPTIONS_HELP "\n"
    "Exit codes: 0 it does, 1 it does not (it is draining, or not there), 2 wrong usage.\n";

/* Parses --json and the common options; -1 to go on. */
static int parse(struct fg_cli *cli, int argc, char **argv, bool *json)
{
    enum { OPT_JSON = FG_CLI_OPT_FIRST };
    static const struct option options[] = {
        {"json", no_argument, NULL, OPT_JSON},
        FG_CLI_OPTIONS,
    };
    int opt, code = -1;

    while (code < 0 &&
           (opt = getopt_long(argc, argv, "h", json ? options : options + 1, NULL)) != -1) {
        if (opt == OPT_JSON) {
            *json = true;
        } else {
            code = fg_cli_option(cli, opt);
        }
    }
    return code;
}

static int no_arguments(const struct fg_cli *cli, int argc, char **argv)
{
    return optind < argc ? fg_cli_usage(cli, "'%s': should have no arguments", argv[optind]) : -1;
}

/* "" reads as missing in a table. */
static const char *or_dash(const char *s)
{
    return *s ? s : "-";
}

/* ---- ps ---------------------------------------------------------------------------------------*/

static void print_jobs(const struct fg_client_status *s)
{
    if (s->n_jobs == 0) {
        puts("no jobs");
        return;
    }
    printf("%6s  %-8s %8s %8s %8s %9s %9s\n", "JOB", "PHASE", "PROMPT", "DONE", "REUSED",
           "GENERATED", "AGE");
    for (size_t i = 0; i < s->n_jobs; i++) {
        const struct fg_client_job *j = &s->jobs[i];
        printf("%6llu  %-8s %8llu %8llu %8llu %9llu %7.1f s\n", (unsigned long long)j->id,
               or_dash(j->phase), (unsigned long long)j->prompt_tokens,
               (unsigned long long)j->done_tokens, (unsigned long long)j->reused_tokens,
               (unsigned long long)j->generated_tokens, j->age_ms / 1000);
    }
}

static int show_status(const struct fg_cli *cli)
{
    struct fg_client_status s;
    struct fg_client *client;
    struct fg_err err;
    int code = fg_cli_connect(cli, &client);

    if (code != FG_CLI_OK) {
        return code;
    }
    if (fg_client_status(client, &s, &err) < 0) {
        code = fg_cli_fail(cli, &err);
    } else {
        printf("model    %s (%s, %llu tokens of context)\n", or_dash(s.model.name),
               or_dash(s.model.architecture), (unsigned long long)s.model.context_tokens);
        printf("device   %s\n", or_dash(s.device));
        printf("driver   %s\n", or_dash(s.driver));
        printf("version  %s\n\n", or_dash(s.version));
        print_jobs(&s);
        fg_client_status_finish(&s);
    }
    fg_client_destroy(client);
    return code;
}

static int run_ps(struct fg_cli *cli, int argc, char **argv)
{
    bool json = false;
    int code = parse(cli, argc, argv, &json);

    code = code < 0 ? no_arguments(cli, argc, argv) : code;
    if (code >= 0) {
        return code;
    }
    return json ? fg_cli_print_json(cli, "/v1/fulgur/status") : show_status(cli);
}

/* ---- models, health ---------------------------------------------------------------------------*/

static int show_models(const struct fg_cli *cli)
{
    struct fg_client_models m;
    struct fg_client *client;
    struct fg_err err;
    int code = fg_cli_connect(cli, &client);

    if (code != FG_CLI_OK) {
        return code;
    }
    if (fg_client_models(client, &m, &err) < 0) {
        code = fg_cli_fail(cli, &err);
    } else {
        printf("%-32s %-14s %9s  %s\n", "MODEL", "ARCHITECTURE", "CONTEXT", "NUMERICS");
        for (size_t i = 0; i < m.n_models; i++) {
            const struct fg_client_model *one = &m.models[i];
            printf("%-32s %-14s %9llu  %s\n", or_dash(one->name), or_dash(one->architecture),
                   (unsigned long long)one->context_tokens, or_dash(one->numerics_id));
        }
        fg_client_models_finish(&m);
    }
    fg_client_destroy(client);
    return code;
}

static int run_models(struct fg_cli *cli, int argc, char **argv)
{
    bool json = false;
    int code = parse(cli, argc, argv, &json);

    code = code < 0 ? no_arguments(cli, argc, argv) : code;
    if (code >= 0) {
        return code;
    }
    return json ? fg_cli_print_json(cli, "/v1/models") : show_models(cli);
}

static int run_health(struct fg_cli *cli, int argc, char **argv)
{
    struct fg_client_health h;
    struct fg_client *client;
    struct fg_err err;
    int code = parse(cli, argc, argv, NULL);

    code = code < 0 ? no_arguments(cli, argc, argv) : code;
    if (code >= 0) {
        return code;
    }
    code = fg_cli_connect(cli, &client);
    if (code != FG_CLI_OK) {
        return code;
    }
    if (fg_client_health(client, &h, &err) < 0) {
        code = fg_cli_fail(cli, &err);
    } else {
        printf("%s: %s on %s\n", h.status, or_dash(h.model), or_dash(h.device));
        code = h.draining ? FG_CLI_ERROR : FG_CLI_OK;
        fg_client_health_finish(&h);
    }
    fg_client_destroy(client);
    return code;
}

const struct fg_cli_command fg_cli_ps = {"ps", "show the model, the device and the jobs", ps_help,
                                         run_ps};
const struct fg_cli_command fg_cli_models = {"models", "list the models that are served",
                                             models_help, run_models};
const struct fg_cli_command fg_cli_health = {"health", "say whether the daemon takes requests",
                                             health_help, run_health};
