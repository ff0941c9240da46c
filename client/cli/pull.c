/* fulgur pull: fetches a model. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "base/clock.h"
#include "download.h"
#include "progress.h"
#include "source.h"

static const char help[] =
    "Usage: fulgur pull [OPTION]... NAME\n"
    "Fetches a GGUF file into $XDG_DATA_HOME/fulgur/models (by default "
    "~/.local/share/fulgur/models)\n"
    "and prints its path. What has come is kept when it breaks off; the next call goes on from "
    "there.\n"
    "\n"
    "NAME is a URL (http or https), or OWNER/REPO:FILE of the Hugging Face hub. Of a model that "
    "is\n"
    "split over several files (...-00001-of-00005.gguf) all are fetched, whichever is named.\n"
    "\n"
    "  --sha256 HEX      the file's checksum (default: the hub's; of other servers it is printed)\n"
    "  --size BYTES      the file's size (default: what the server says)\n"
    "  --revision NAME   the hub's branch, tag or commit (default: main)\n"
    "  -o, --output FILE put it there instead\n"
    "  -h, --help        show this\n"
    "\n"
    "HF_ENDPOINT names another hub than https://huggingface.co, HF_TOKEN the token for it.\n"
    "\n"
    "Exit codes: 0 done, 1 error, 2 wrong usage.\n";

struct command {
    const char *name, *revision, *output;
    char sha256[65];
    int64_t size;
};

/* The line on the terminal. */
struct shown {
    double began, last; /* seconds */
    int64_t first;      /* bytes at `began` */
    bool terminal, drawn;
};

static int take_sha256(const struct fg_cli *cli, const char *text, char out[65])
{
    size_t n = strlen(text);

    if (n != 64 || strspn(text, "0123456789abcdefABCDEF") != n) {
        return fg_cli_usage(cli, "--sha256 '%s': should be 64 hexadecimal digits", text);
    }
    for (size_t i = 0; i <= n; i++) {
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + ('a' - 'A') : text[i]);
    }
    return -1;
}

static int parse(struct fg_cli *cli, int argc, char **argv, struct command *t)
{
    enum { OPT_SHA256 = FG_CLI_OPT_FIRST, OPT_SIZE, OPT_REVISION };
    static const struct option options[] = {
        {"sha256", required_argument, NULL, OPT_SHA256},
        {"size", required_argument, NULL, OPT_SIZE},
        {"revision", required_argument, NULL, OPT_REVISION},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int opt, code = -1;

    while (code < 0 && (opt = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
        switch (opt) {
        case OPT_SHA256: code = take_sha256(cli, optarg, t->sha256); break;
        case OPT_SIZE:
            code = fg_cli_integer(cli, "--size", optarg, 0, INT64_MAX, &t->size) < 0 ? FG_CLI_USAGE
                                                                                     : -1;
            break;
        case OPT_REVISION: t->revision = optarg; break;
        case 'o': t->output = optarg; break;
        default: code = fg_cli_option(cli, opt);
        }
    }
    if (code < 0 && optind + 1 != argc) {
        return fg_cli_usage(cli, optind == argc ? "no NAME given" : "more than one NAME: give one");
    }
    t->name = code < 0 ? argv[optind] : NULL;
    return code;
}

static void draw(struct shown *s, const char *what, int64_t done, int64_t total, int64_t reused)
{
    char line[256];
    struct winsize w = {0};
    double at = fg_clock_seconds();

    if (s->began == 0) {
        s->began = at;
        s->first = done;
    }
    if (!s->terminal || (at - s->last < 0.1 && done != total)) {
        return;
    }
    double rate = at - s->began > 0.5 ? (double)(done - s->first) / (at - s->began) : 0;
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
    size_t used = strlen(what) + 1;
    struct fg_cli_transfer transfer = {
        .done = done, .total = total, .reused = reused, .rate = rate};
    fg_cli_transfer_format(line, sizeof line, &transfer, columns - (int)used);
    fprintf(stderr, "\r\033[K%s %s", what, line);
    s->last = at;
    s->drawn = true;
}

static void on_progress(void *ctx, int64_t done, int64_t total, int64_t reused)
{
    draw(ctx, "fetching", done, total, reused);
}

static void on_check(void *ctx, int64_t done, int64_t total)
{
    draw(ctx, "checking", done, total, 0);
}

static int fetch(struct fg_cli *cli, const struct command *t, const struct fg_cli_source *source,
                 const char *path)
{
    const char *token = getenv("HF_TOKEN");
    struct shown shown = {.terminal = isatty(STDERR_FILENO)};
    struct fg_cli_download d = {
        .url = source->url,
        .token = source->hub && token && *token ? token : NULL,
        .path = path,
        .sha256 = t->sha256[0] ? t->sha256 : NULL,
        .size = t->size,
        .progress = on_progress,
        .checking = on_check,
        .ctx = &shown,
    };
    struct fg_err err;
    char sha256[65];

    if (access(path, F_OK) == 0) {
        fprintf(stderr, "%s: %s is there already; remove it to fetch it anew\n", cli->name, path);
        return FG_CLI_OK;
    }
    int rc = fg_cli_download_run(&d, sha256, &err);
    if (shown.drawn) {
        fputs("\r\033[K", stderr);
    }
    if (rc < 0) {
        return fg_cli_fail(cli, &err);
    }
    fprintf(stderr, "%s: SHA-256 %s\n", cli->name, sha256);
    return FG_CLI_OK;
}

/* Fetches one file. *path is the caller's, NULL on failure. */
static int fetch_file(struct fg_cli *cli, const struct command *t, char **path)
{
    struct fg_cli_source source;
    struct fg_err err;
    char *dir = NULL;
    int code;

    *path = NULL;
    if (fg_cli_source_init(&source, t->name, getenv("HF_ENDPOINT"), t->revision, &err) < 0) {
        return err.code == FG_EINVAL ? fg_cli_usage(cli, "%s", err.text) : fg_cli_fail(cli, &err);
    }
    if (!t->output && fg_cli_models_dir(&dir, &err) < 0) {
        code = fg_cli_fail(cli, &err);
    } else if ((t->output ? asprintf(path, "%s", t->output)
                          : asprintf(path, "%s/%s", dir, source.file)) < 0) {
        *path = NULL;
        fg_fail(&err, FG_ENOMEM, "out of memory");
        code = fg_cli_fail(cli, &err);
    } else {
        code = fetch(cli, t, &source, *path);
    }
    if (code != FG_CLI_OK) {
        free(*path);
        *path = NULL;
    }
    free(dir);
    fg_cli_source_finish(&source);
    return code;
}

/* A copy of the name with another number in the place of its five digits. */
static char *renumber(const char *name, size_t at, int no)
{
    char *copy = strdup(name), digits[16];

    if (copy) {
        snprintf(digits, sizeof digits, "%05d", no);
        memcpy(copy + at, digits, 5);
    }
    return copy;
}

/* Fetches the `count` files of a model. *path is the first one's. */
static int fetch_parts(struct fg_cli *cli, const struct command *t, int count, char **path)
{
    size_t at = 0, output_at = 0;
    int code = FG_CLI_OK;

    fg_cli_source_parts(t->name, &at);
    if (t->sha256[0] || t->size >= 0) {
        return fg_cli_usage(cli, "--sha256 and --size are of one file: the model has %d", count);
    }
    if (t->output && fg_cli_source_parts(t->output, &output_at) != count) {
        return fg_cli_usage(cli,
                            "--output '%s': the model has %d files, so it should end with "
                            "-00001-of-%05d.gguf",
                            t->output, count, count);
    }
    for (int no = 1; code == FG_CLI_OK && no <= count; no++) {
        char *name = renumber(t->name, at, no), *file = NULL;
        char *output = t->output ? renumber(t->output, output_at, no) : NULL;
        struct command part = *t;
        struct fg_err err;

        part.name = name;
        part.output = output;
        if (!name || (t->output && !output)) {
            fg_fail(&err, FG_ENOMEM, "out of memory");
            code = fg_cli_fail(cli, &err);
        } else {
            code = fetch_file(cli, &part, &file);
        }
        if (no == 1) {
            *path = file;
        } else {
            free(file);
        }
        free(name);
        free(output);
    }
    return code;
}

static int run(struct fg_cli *cli, int argc, char **argv)
{
    struct command t = {.revision = "main", .size = -1};
    int code = parse(cli, argc, argv, &t), count;
    char *path = NULL;
    size_t at;

    if (code >= 0) {
        return code;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    count = fg_cli_source_parts(t.name, &at);
    code = count ? fetch_parts(cli, &t, count, &path) : fetch_file(cli, &t, &path);
    if (code == FG_CLI_OK) {
        puts(path);
    }
    free(path);
    return code;
}

const struct fg_cli_command fg_cli_pull = {"pull", "fetch a model", help, run};
