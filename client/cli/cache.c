/* fulgur cache: its options, and which subcommand gets them. */
#include "cache.h"

#include <inttypes.h>
#include <string.h>

#include "explain.h"

static const char help[] =
    "Usage: fulgur cache stats [--json]\n"
    "       fulgur cache ls [--limit N] [--json]\n"
    "       fulgur cache explain [OPTION]... [PROMPT]...\n"
    "       fulgur cache forget --id ID [--all] | --file FILE | --all\n"
    "       fulgur cache verify --id ID | --file FILE | --all [--limit N]\n"
    "       fulgur cache export --id ID | --file FILE -o PACK\n"
    "       fulgur cache import [--unsigned] PACK\n"
    "       fulgur cache key\n"
    "       fulgur cache gc\n"
    "Shows what the daemon's prompt cache holds on disk, and works on it.\n"
    "\n"
    "  stats    how much there is, and what became of it\n"
    "  ls       the stored prompts' ends and the places where they part, the last used first\n"
    "  explain  what a prompt would find there ('fulgur cache explain --help')\n"
    "  forget   removes for good; what it removed is no longer in the store's file:\n"
    "           --id ID        what ID names and all that continues it\n"
    "           --id ID --all  the same, and the blocks before it that lead to nothing else\n"
    "           --file FILE    FILE's prompt: as far as it is stored and leads to nothing else,\n"
    "                          and all that continues it\n"
    "           --all          everything that is yours\n"
    "  verify   computes stored prompts again, compares what is stored bit for bit, and drops "
    "what\n"
    "           differs; exit code 1 when something did\n"
    "  export   writes one stored prefix as a pack, signed, to be imported elsewhere\n"
    "  import   stores a pack's prefix: of the same model file and arithmetic, signed by this\n"
    "           daemon or by one whose key it was told of (fulgurd --import-key)\n"
    "  key      shows the key that this daemon signs packs with\n"
    "  gc       gives the free space in the store's file back\n"
    "\n"
    "  --id ID        as ls shows it; a beginning is enough when nothing else begins so\n"
    "  --file FILE    the prompt that 'fulgur run --file FILE' makes; '-': standard input\n"
    "  --system TEXT  with the system message TEXT\n"
    "  --raw          without the model's chat template\n"
    "  -o PACK        the file to write\n"
    "  --unsigned     also a pack of before packs were signed; its contents are believed. For who\n"
    "                 runs the daemon, by its Unix socket\n"
    "  --limit N      at most N (default: 100 lines of ls, prompts of verify)\n"
    "  --json         print the daemon's JSON as it is ('-o json' does the "
    "same)\n" FG_CLI_OPTIONS_HELP
    "\nExit codes: 0 done, 1 error, 2 wrong usage, 130 interrupted.\n";

enum {
    OPT_JSON = FG_CLI_OPT_FIRST,
    OPT_ID,
    OPT_FILE,
    OPT_SYSTEM,
    OPT_RAW,
    OPT_ALL,
    OPT_LIMIT,
    OPT_UNSIGNED,
    OPT_END
};
#define BIT(opt) (1u << ((opt)-FG_CLI_OPT_FIRST))

static const struct option options[] = {
    {"json", no_argument, NULL, OPT_JSON},         {"id", required_argument, NULL, OPT_ID},
    {"file", required_argument, NULL, OPT_FILE},   {"system", required_argument, NULL, OPT_SYSTEM},
    {"raw", no_argument, NULL, OPT_RAW},           {"all", no_argument, NULL, OPT_ALL},
    {"limit", required_argument, NULL, OPT_LIMIT}, {"unsigned", no_argument, NULL, OPT_UNSIGNED},
    {"output", required_argument, NULL, 'o'},      FG_CLI_OPTIONS,
};

const char *fg_cli_size_text(uint64_t bytes, char *out, size_t room)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes / 1024;
    size_t i = 0;

    if (bytes < 1024) {
        snprintf(out, room, "%llu bytes", (unsigned long long)bytes);
        return out;
    }
    while (v >= 1024 && i + 1 < sizeof units / sizeof units[0]) {
        v /= 1024;
        i++;
    }
    snprintf(out, room, "%.1f %s", v, units[i]);
    return out;
}

/* ---- stats ------------------------------------------------------------------------------------*/

static void print_metric(const struct fg_metric *m)
{
    char value[32];

    if (m->unit == FG_METRIC_BYTES) {
        fg_cli_size_text(*m->value, value, sizeof value);
    } else {
        snprintf(value, sizeof value, "%" PRIu64, *m->value);
    }
    printf("%-15s  %10s  %s\n", m->name, value, m->help);
}

static void print_stats(const struct fg_client_cache_stats *s)
{
#define ROW(name, unit, who, help) {#name, help, FG_METRIC_##unit, FG_METRIC_##who, &s->name},
    const struct fg_metric rows[] = {FG_CACHE_METRICS(ROW)};
#undef ROW
    const bool owner = s->dir && *s->dir;

    if (owner) {
        printf("%s\n", s->dir);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (owner || rows[i].who == FG_METRIC_ALL) {
            print_metric(&rows[i]);
        }
    }
    if (!owner) { /* what the daemon kept to itself came as 0 */
        puts("what it holds is shown to the user who runs the daemon");
    }
}

static int show_stats(const struct fg_cli_cache *c, struct fg_client *client)
{
    struct fg_client_cache_stats s;
    struct fg_err err;

    if (c->json) {
        return fg_cli_print_json(c->cli, "/v1/fulgur/cache");
    }
    if (fg_client_cache_stats(client, &s, &err) < 0) {
        return fg_cli_fail(c->cli, &err);
    }
    print_stats(&s);
    fg_client_cache_stats_finish(&s);
    return FG_CLI_OK;
}

/* ---- which ------------------------------------------------------------------------------------*/

enum { PROMPT = BIT(OPT_FILE) | BIT(OPT_SYSTEM) | BIT(OPT_RAW) };

static const struct {
    const char *name;
    unsigned options;
    int (*run)(const struct fg_cli_cache *c, struct fg_client *client);
    const char *argument; /* what it is called, when there has to be one */
} commands[] = {
    {"stats", BIT(OPT_JSON), show_stats, NULL},
    {"ls", BIT(OPT_JSON) | BIT(OPT_LIMIT), fg_cli_cache_ls, NULL},
    {"verify", BIT(OPT_ID) | BIT(OPT_ALL) | BIT(OPT_LIMIT) | PROMPT, fg_cli_cache_verify, NULL},
    {"gc", 0, fg_cli_cache_gc, NULL},
    {"export", BIT(OPT_ID) | PROMPT, fg_cli_cache_export, NULL},
    {"import", BIT(OPT_UNSIGNED), fg_cli_cache_import, "PACK"},
    {"key", 0, fg_cli_cache_key, NULL},
    {"forget", BIT(OPT_ID) | BIT(OPT_ALL) | PROMPT, fg_cli_cache_forget, NULL},
};
enum { n_commands = sizeof commands / sizeof commands[0] };

static int parse_one(struct fg_cli_cache *c, int opt)
{
    int64_t n;

    switch (opt) {
    case OPT_JSON: c->json = true; return -1;
    case OPT_ID: c->id = optarg; return -1;
    case OPT_FILE: c->file = optarg; return -1;
    case OPT_SYSTEM: c->system = optarg; return -1;
    case OPT_RAW: c->raw = true; return -1;
    case OPT_ALL: c->all = true; return -1;
    case OPT_UNSIGNED: c->unsigned_too = true; return -1;
    case OPT_LIMIT:
        if (fg_cli_integer(c->cli, "--limit", optarg, 0, 10000, &n) < 0) {
            return FG_CLI_USAGE;
        }
        c->limit = (uint32_t)n;
        return -1;
    }
    return fg_cli_option(c->cli, opt);
}

static int parse(struct fg_cli_cache *c, int argc, char **argv, unsigned *seen)
{
    int opt, code = -1;

    while (code < 0 && (opt = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
        if (opt == 'o' && strcmp(optarg, "json") == 0) {
            opt = OPT_JSON;
        } else if (opt == 'o') {
            c->output = optarg;
            continue;
        }
        code = parse_one(c, opt);
        *seen |= opt >= FG_CLI_OPT_FIRST && opt < OPT_END ? BIT(opt) : 0;
    }
    return code;
}

static int check(const struct fg_cli_cache *c, size_t i, int argc, char **argv, unsigned seen)
{
    int n = argc - optind - 1;

    for (const struct option *o = options; o->name; o++) {
        bool ours = o->val >= FG_CLI_OPT_FIRST && o->val < OPT_END;
        if (ours && seen & BIT(o->val) & ~commands[i].options) {
            return fg_cli_usage(c->cli, "--%s: does not go with 'fulgur cache %s'", o->name,
                                commands[i].name);
        }
    }
    if (n > (commands[i].argument != NULL)) {
        return fg_cli_usage(c->cli, "'%s': should have no more arguments", argv[argc - 1]);
    }
    if (n == 0 && commands[i].argument) {
        return fg_cli_usage(c->cli, "fulgur cache %s: %s is missing", commands[i].name,
                            commands[i].argument);
    }
    if (c->output && commands[i].run != fg_cli_cache_export) {
        return fg_cli_usage(c->cli, "-o '%s': does not go with 'fulgur cache %s'", c->output,
                            commands[i].name);
    }
    if (c->raw && c->system) {
        return fg_cli_usage(c->cli, "--system goes with a chat: should not be given with --raw");
    }
    if (c->id && c->file) {
        return fg_cli_usage(c->cli, "both --id and --file: give one");
    }
    return -1;
}

static int connect_and_run(struct fg_cli_cache *c, size_t i)
{
    struct fg_client *client;
    int code = fg_cli_connect(c->cli, &client);

    if (code != FG_CLI_OK) {
        return code;
    }
    code = commands[i].run(c, client);
    fg_client_destroy(client);
    return code;
}

static int run_cache(struct fg_cli *cli, int argc, char **argv)
{
    struct fg_cli_cache c = {.cli = cli, .limit = 100};
    char name[] = "fulgur cache explain";
    unsigned seen = 0;
    int code;

    if (argc > 1 && strcmp(argv[1], "explain") == 0) {
        cli->name = argv[1] = name;
        return fg_cli_explain(cli, argc - 1, argv + 1);
    }
    code = parse(&c, argc, argv, &seen);
    if (code >= 0) {
        return code;
    }
    for (size_t i = 0; i < n_commands && optind < argc; i++) {
        if (strcmp(argv[optind], commands[i].name) != 0) {
            continue;
        }
        code = check(&c, i, argc, argv, seen);
        c.argument = optind + 1 < argc ? argv[optind + 1] : NULL;
        return code >= 0 ? code : connect_and_run(&c, i);
    }
    return fg_cli_usage(cli,
                        "what to do with the cache: should be stats, ls, explain, forget, verify, "
                        "gc, export, import or key");
}

const struct fg_cli_command fg_cli_cache = {"cache", "show and work on what the prompt cache holds",
                                            help, run_cache};
