#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "terminal.h"

static const char help[] =
    "Usage: fulgur cache explain [OPTION]... [PROMPT]...\n"
    "Tells what 'fulgur run' with the same prompt would find in the daemon's cache, why not more,\n"
    "and how long its first token would take. Nothing is computed, used or kept.\n"
    "\n"
    "  --file FILE    a document, as with 'fulgur run'; '-': standard input. May be given several\n"
    "                 times\n"
    "  --system TEXT  the system message\n"
    "  --raw          the text as it is, without the model's chat template\n" FG_CLI_OPTIONS_HELP
    "\nExit codes: 0 done, 1 error, 2 wrong usage.\n";

enum { OPT_FILE = FG_CLI_OPT_FIRST, OPT_SYSTEM, OPT_RAW };

static const struct option options[] = {
    {"file", required_argument, NULL, OPT_FILE},
    {"system", required_argument, NULL, OPT_SYSTEM},
    {"raw", no_argument, NULL, OPT_RAW},
    FG_CLI_OPTIONS,
};

/* In one line: control characters as spaces. */
static void print_text(const char *label, const char *text)
{
    char line[512];
    size_t n = 0;

    for (; text[n] && n + 1 < sizeof line; n++) {
        line[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? ' ' : text[n];
    }
    line[n] = '\0';
    printf("  %-12s \"", label);
    fg_cli_terminal_write(stdout, line, n);
    puts("\"");
}

/* As it stands in a file of rules. */
static void print_rule(const char *rule)
{
    puts(
        "That is inside of a line that changes. This rule moves it out of the way, in the file of\n"
        "fulgurd --repair-rules (docs/repair-rules.md):\n");
    while (*rule) {
        size_t n = strcspn(rule, "\n");

        printf("    ");
        fg_cli_terminal_write(stdout, rule, n);
        puts("");
        rule += n + (rule[n] == '\n');
    }
    puts("");
}

static void print_ms(const char *label, double ms)
{
    if (ms < 0) {
        printf("%-12s not measured yet\n", label);
    } else {
        printf("%-12s %.0f ms\n", label, ms);
    }
}

static void print(const struct fg_client_forecast *f)
{
    const struct fg_client_account *a = &f->account;

    printf("%-12s %llu tokens\n", "prompt", (unsigned long long)f->prompt_tokens);
    printf("%-12s %llu tokens (%s)\n", "reused", (unsigned long long)a->reused_tokens,
           fg_client_source_name(a->source));
    printf("%-12s %llu tokens\n", "recomputed", (unsigned long long)a->recomputed_tokens);
    printf("%-12s %s\n", "reason", *a->reason ? a->reason : "-");
    if (*a->repaired) {
        printf("%-12s by ", "repaired");
        fg_cli_terminal_write(stdout, a->repaired, strlen(a->repaired));
        puts("");
    }
    if (a->diverged_at >= 0) {
        printf("%-12s token %lld\n", "diverged at", (long long)a->diverged_at);
        print_text("after", a->before);
        print_text("the prompt", a->prompt);
        print_text("stored", a->stored);
    }
    if (*a->rule) {
        print_rule(a->rule);
    }
    print_ms("restore", a->restore_ms);
    print_ms("prefill", a->prefill_ms);
    print_ms("first token", a->first_token_ms);
    print_ms("saved", a->saved_ms);
}

static int ask(const struct fg_cli *cli, const char *system, bool raw,
               const struct fg_cli_text *text)
{
    struct fg_client_message messages[2];
    struct fg_client_forecast forecast;
    struct fg_client_request request;
    struct fg_client *client;
    struct fg_err err;
    int code = fg_cli_connect(cli, &client);

    if (code != FG_CLI_OK) {
        return code;
    }
    fg_client_request_init(&request);
    fg_cli_prompt_request(&request, messages, system, raw, text);
    if (fg_client_explain(client, &request, &forecast, &err) < 0) {
        code = fg_cli_fail(cli, &err);
    } else {
        print(&forecast);
    }
    fg_client_destroy(client);
    return code;
}

static int parse(struct fg_cli *cli, int argc, char **argv, struct fg_cli_prompt *from,
                 const char **files, const char **system)
{
    int opt;

    while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int code;

        switch (opt) {
        case OPT_FILE: files[from->n_files++] = optarg; continue;
        case OPT_SYSTEM: *system = optarg; continue;
        case OPT_RAW: from->raw = true; continue;
        default: code = fg_cli_option(cli, opt);
        }
        if (code >= 0) {
            return code;
        }
    }
    if (from->raw && *system) {
        return fg_cli_usage(cli, "--system goes with a chat: should not be given with --raw");
    }
    from->files = files;
    from->words = argv + optind;
    from->n_words = (size_t)(argc - optind);
    return -1;
}

int fg_cli_explain(struct fg_cli *cli, int argc, char **argv)
{
    struct fg_cli_prompt from = {0};
    const char *system = NULL, **files = calloc((size_t)argc + 1, sizeof *files);
    struct fg_cli_text text;
    struct fg_err err;
    int code;

    cli->help = help;
    if (!files) {
        fprintf(stderr, "%s: out of memory\n", cli->name);
        return FG_CLI_ERROR;
    }
    optind = 0; /* glibc: start over, with another table */
    code = parse(cli, argc, argv, &from, files, &system);
    if (code < 0) {
        int rc = fg_cli_prompt_read(&from, &text, &err);
        if (rc == FG_EINVAL) {
            code = fg_cli_usage(cli, "%s", err.text);
        } else if (rc < 0) {
            code = fg_cli_fail(cli, &err);
        } else {
            code = ask(cli, system, from.raw, &text);
            free(text.p);
        }
    }
    free(files);
    return code;
}
