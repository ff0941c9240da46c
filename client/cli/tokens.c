/* fulgur tokenize, fulgur detokenize. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "input.h"

static const char tokenize_help[] =
    "Usage: fulgur tokenize [OPTION]... [TEXT]...\n"
    "Prints the ids of the model's tokens for the text: the arguments, joined by spaces, or a "
    "file,\n"
    "or standard input.\n"
    "\n"
    "  --file FILE    the text is FILE's; '-': standard input\n"
    "  --ids          print the ids on one line (default)\n"
    "  --count        print how many there are\n"
    "  --special      begin with the model's begin token, as a prompt does\n"
    "  --plain        take '<s>' and the like as text, not as special tokens\n" FG_CLI_OPTIONS_HELP
    "\n"
    "Exit codes: 0 done, 1 error, 2 wrong usage.\n";

static const char detokenize_help[] =
    "Usage: fulgur detokenize [OPTION]... [ID]...\n"
    "Prints the text of token ids: the arguments, or those on standard input, with white space\n"
    "between.\n"
    "\n" FG_CLI_OPTIONS_HELP "\n"
    "Exit codes: 0 done, 1 error, 2 wrong usage.\n";

/* ---- tokenize ---------------------------------------------------------------------------------*/

struct command {
    const char *file;
    bool count;
    unsigned flags;
};

static int parse_tokenize(struct fg_cli *cli, int argc, char **argv, struct command *t)
{
    enum { OPT_FILE = FG_CLI_OPT_FIRST, OPT_IDS, OPT_COUNT, OPT_SPECIAL, OPT_PLAIN };
    static const struct option options[] = {
        {"file", required_argument, NULL, OPT_FILE}, {"ids", no_argument, NULL, OPT_IDS},
        {"count", no_argument, NULL, OPT_COUNT},     {"special", no_argument, NULL, OPT_SPECIAL},
        {"plain", no_argument, NULL, OPT_PLAIN},     FG_CLI_OPTIONS,
    };
    int opt, code = -1;

    while (code < 0 && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (opt) {
        case OPT_FILE: t->file = optarg; break;
        case OPT_IDS: t->count = false; break;
        case OPT_COUNT: t->count = true; break;
        case OPT_SPECIAL: t->flags |= FG_TOKENIZE_ADD_SPECIAL; break;
        case OPT_PLAIN: t->flags |= FG_TOKENIZE_PLAIN; break;
        default: code = fg_cli_option(cli, opt);
        }
    }
    if (code < 0 && t->file && optind < argc) {
        return fg_cli_usage(cli, "both --file and TEXT: give one");
    }
    return code;
}

static int print_tokens(const struct fg_cli *cli, const struct command *t, const char *text,
                        size_t bytes)
{
    struct fg_client *client;
    struct fg_err err;
    struct fg_client_tokens tokens;
    int code = fg_cli_connect(cli, &client);

    if (code != FG_CLI_OK) {
        return code;
    }
    if (fg_client_tokenize(client, text, bytes, t->flags, &tokens, &err) < 0) {
        code = fg_cli_fail(cli, &err);
    } else if (t->count) {
        printf("%zu\n", tokens.n);
    } else {
        for (size_t i = 0; i < tokens.n; i++) {
            printf(i > 0 ? " %d" : "%d", (int)tokens.ids[i]);
        }
        putchar('\n');
    }
    free(tokens.ids);
    fg_client_destroy(client);
    return code;
}

static int run_tokenize(struct fg_cli *cli, int argc, char **argv)
{
    struct command t = {0};
    struct fg_err err;
    struct fg_cli_text text;
    int code = parse_tokenize(cli, argc, argv, &t);

    if (code >= 0) {
        return code;
    }
    /* raw: the ids are those of the very bytes. */
    struct fg_cli_prompt from = {
        .files = &t.file,
        .n_files = t.file ? 1 : 0,
        .words = argv + optind,
        .n_words = (size_t)(argc - optind),
        .raw = true,
    };
    int rc = fg_cli_prompt_read(&from, &text, &err);
    if (rc < 0) {
        return rc == FG_EINVAL ? fg_cli_usage(cli, "%s", err.text) : fg_cli_fail(cli, &err);
    }
    code = print_tokens(cli, &t, text.p, text.n);
    free(text.p);
    return code;
}

/* ---- detokenize -------------------------------------------------------------------------------*/

struct ids {
    int32_t *p;
    size_t n, room;
};

static int add_id(const struct fg_cli *cli, struct ids *ids, const char *word)
{
    int64_t v;

    if (fg_cli_integer(cli, "ID", word, 0, INT32_MAX, &v) < 0) {
        return FG_CLI_USAGE;
    }
    if (ids->n == ids->room) {
        size_t room = ids->room ? 2 * ids->room : 64;
        int32_t *p = realloc(ids->p, room * sizeof *p); /* room: bounded by what was read */
        if (!p) {
            fprintf(stderr, "%s: out of memory\n", cli->name);
            return FG_CLI_ERROR;
        }
        ids->p = p;
        ids->room = room;
    }
    ids->p[ids->n++] = (int32_t)v;
    return FG_CLI_OK;
}

static int read_ids(const struct fg_cli *cli, struct ids *ids)
{
    struct fg_err err;
    char *text, *rest = NULL;
    size_t bytes;
    int code = FG_CLI_OK;

    if (isatty(STDIN_FILENO)) {
        return fg_cli_usage(cli, "no ids: give them as arguments or on standard input");
    }
    if (fg_cli_input_read("-", FG_CLI_INPUT_MAX, &text, &bytes, &err) < 0) {
        return fg_cli_fail(cli, &err);
    }
    for (char *w = strtok_r(text, " \t\r\n", &rest); w && code == FG_CLI_OK;
         w = strtok_r(NULL, " \t\r\n", &rest)) {
        code = add_id(cli, ids, w);
    }
    free(text);
    return code;
}

static int print_text(const struct fg_cli *cli, const struct ids *ids)
{
    struct fg_client *client;
    struct fg_err err;
    char *text;
    size_t bytes;
    int code = fg_cli_connect(cli, &client);

    if (code != FG_CLI_OK) {
        return code;
    }
    if (fg_client_detokenize(client, ids->p, ids->n, &text, &bytes, &err) < 0) {
        code = fg_cli_fail(cli, &err);
    } else {
        fwrite(text, 1, bytes, stdout);
        /* A file gets the text's bytes and no more. */
        if (isatty(STDOUT_FILENO) && (bytes == 0 || text[bytes - 1] != '\n')) {
            putchar('\n');
        }
    }
    free(text);
    fg_client_destroy(client);
    return code;
}

static int run_detokenize(struct fg_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {FG_CLI_OPTIONS};
    struct ids ids = {0};
    int opt, code = -1;

    while (code < 0 && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        code = fg_cli_option(cli, opt);
    }
    if (code >= 0) {
        return code;
    }
    code = optind == argc ? read_ids(cli, &ids) : FG_CLI_OK;
    for (int i = optind; i < argc && code == FG_CLI_OK; i++) {
        code = add_id(cli, &ids, argv[i]);
    }
    if (code == FG_CLI_OK) {
        code = print_text(cli, &ids);
    }
    free(ids.p);
    return code;
}

const struct fg_cli_command fg_cli_tokenize = {"tokenize", "print the model's token ids for a text",
                                               tokenize_help, run_tokenize};
const struct fg_cli_command fg_cli_detokenize = {"detokenize", "print the text of token ids",
                                                 detokenize_help, run_detokenize};
