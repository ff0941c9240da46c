/* fulgur run: one completion, streamed to standard output. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "base/clock.h"
#include "input.h"
#include "interrupt.h"
#include "progress.h"
#include "terminal.h"

enum { MAX_STOPS = 16 };

static const char help[] =
    "Usage: fulgur run [OPTION]... [PROMPT]...\n"
    "Asks the model and prints its answer as it arrives. The prompt is the arguments, joined by\n"
    "spaces; '-' among them is standard input. Without arguments and files it is standard input.\n"
    "\n"
    "  --file FILE    a document, put before the prompt with a blank line between; '-': standard\n"
    "                 input. May be given several times\n"
    "  --system TEXT  the system message\n"
    "  --raw          continue the text as it is, without the model's chat template (files and\n"
    "                 prompt are joined with nothing between)\n"
    "  -n MAX         at most MAX tokens (default: what the context holds; with --raw 16)\n"
    "  --temp T       temperature; 0 takes the likeliest token always (default 1)\n"
    "  --top-k K      sample among the K likeliest tokens (default 0: all)\n"
    "  --top-p P      among those that make up the probability P (default 1: all)\n"
    "  --min-p P      among those at least P times as likely as the likeliest (default 0: all)\n"
    "  --seed N       the same N gives the same answer (default: random)\n"
    "  --stop S       end before the string S; up to 16 times\n"
    "  --no-store     leave neither prompt nor answer in the daemon's prompt cache; it is read\n"
    "  --no-cache     neither read nor write it\n"
    "  --stats        print a line on standard error: times, and what was reused (default where\n"
    "                 standard error is a terminal)\n"
    "  --no-stats     do not\n"
    "  --reasoning    print what the model thinks, too, between the lines [reasoning] and\n"
    "                 [end of reasoning] (default where standard output is a terminal)\n"
    "  --no-reasoning do not\n"
    "  --json         print one JSON object at the end instead of the text\n" FG_CLI_OPTIONS_HELP
    "\n"
    "Ctrl-C cancels the answer, a second one ends the program at once.\n"
    "Exit codes: 0 the answer ended, 1 error, 2 wrong usage, 130 interrupted.\n";

enum {
    OPT_FILE = FG_CLI_OPT_FIRST,
    OPT_SYSTEM,
    OPT_RAW,
    OPT_TEMP,
    OPT_TOP_K,
    OPT_TOP_P,
    OPT_MIN_P,
    OPT_SEED,
    OPT_STOP,
    OPT_NO_CACHE,
    OPT_STATS,
    OPT_NO_STATS,
    OPT_JSON,
    OPT_NO_STORE,
    OPT_REASONING,
    OPT_NO_REASONING,
};

static const struct option options[] = {
    {"file", required_argument, NULL, OPT_FILE},
    {"system", required_argument, NULL, OPT_SYSTEM},
    {"raw", no_argument, NULL, OPT_RAW},
    {"temp", required_argument, NULL, OPT_TEMP},
    {"top-k", required_argument, NULL, OPT_TOP_K},
    {"top-p", required_argument, NULL, OPT_TOP_P},
    {"min-p", required_argument, NULL, OPT_MIN_P},
    {"seed", required_argument, NULL, OPT_SEED},
    {"stop", required_argument, NULL, OPT_STOP},
    {"no-cache", no_argument, NULL, OPT_NO_CACHE},
    {"stats", no_argument, NULL, OPT_STATS},
    {"no-stats", no_argument, NULL, OPT_NO_STATS},
    {"json", no_argument, NULL, OPT_JSON},
    {"no-store", no_argument, NULL, OPT_NO_STORE},
    {"reasoning", no_argument, NULL, OPT_REASONING},
    {"no-reasoning", no_argument, NULL, OPT_NO_REASONING},
    FG_CLI_OPTIONS,
};

/* What the command line asks for. */
struct command {
    struct fg_client_request request;
    struct fg_cli_prompt from;
    const char **files; /* from.files, as many as there are arguments */
    const char *stops[MAX_STOPS];
    const char *system;
    bool stats, json, reasoning;
};

static int parse_sampling(const struct fg_cli *cli, int opt, struct fg_client_request *r)
{
    int64_t v;
    int rc;

    switch (opt) {
    case 'n':
        rc = fg_cli_integer(cli, "-n", optarg, 1, INT32_MAX, &v);
        r->max_tokens = rc < 0 ? 0 : (int32_t)v;
        return rc;
    case OPT_TOP_K:
        rc = fg_cli_integer(cli, "--top-k", optarg, 0, INT32_MAX, &v);
        r->top_k = rc < 0 ? 0 : (int32_t)v;
        return rc;
    case OPT_SEED: return fg_cli_integer(cli, "--seed", optarg, 0, INT64_MAX, &r->seed);
    case OPT_TEMP: return fg_cli_number(cli, "--temp", optarg, 0, 1000, &r->temperature);
    case OPT_TOP_P: return fg_cli_number(cli, "--top-p", optarg, 0, 1, &r->top_p);
    default: return fg_cli_number(cli, "--min-p", optarg, 0, 1, &r->min_p);
    }
}

/* One option; -1 to go on, else the exit code. */
static int parse_option(struct fg_cli *cli, int opt, struct command *t)
{
    switch (opt) {
    case OPT_FILE: t->files[t->from.n_files++] = optarg; return -1;
    case OPT_SYSTEM: t->system = optarg; return -1;
    case OPT_RAW: t->from.raw = true; return -1;
    case OPT_STOP:
        if (t->request.n_stop == MAX_STOPS) {
            return fg_cli_usage(cli, "--stop: should be given at most %d times", MAX_STOPS);
        }
        if (!*optarg) {
            return fg_cli_usage(cli, "--stop '': should not be empty");
        }
        t->stops[t->request.n_stop++] = optarg;
        return -1;
    case OPT_NO_CACHE: t->request.no_cache = true; return -1;
    case OPT_NO_STORE: t->request.no_store = true; return -1;
    case OPT_STATS: t->stats = true; return -1;
    case OPT_NO_STATS: t->stats = false; return -1;
    case OPT_JSON: t->json = true; return -1;
    case OPT_REASONING: t->reasoning = true; return -1;
    case OPT_NO_REASONING: t->reasoning = false; return -1;
    case 'n':
    case OPT_TEMP:
    case OPT_TOP_K:
    case OPT_TOP_P:
    case OPT_MIN_P:
    case OPT_SEED: return parse_sampling(cli, opt, &t->request) < 0 ? FG_CLI_USAGE : -1;
    default: return fg_cli_option(cli, opt);
    }
}

static int parse(struct fg_cli *cli, int argc, char **argv, struct command *t)
{
    int opt;

    while ((opt = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
        int code = parse_option(cli, opt, t);
        if (code >= 0) {
            return code;
        }
    }
    if (t->from.raw && t->system) {
        return fg_cli_usage(cli, "--system goes with a chat: should not be given with --raw");
    }
    t->from.files = t->files;
    t->from.words = argv + optind;
    t->from.n_words = (size_t)(argc - optind);
    t->request.stop = t->stops;
    return -1;
}

/* ---- While it runs ----------------------------------------------------------------------------*/

/* What is on the screen. */
struct screen {
    bool progress;  /* standard error is a terminal */
    bool filter;    /* standard output is one */
    bool bar;       /* a bar is shown now */
    bool line_open; /* the last line has no newline yet */
    bool thinking;  /* the mark before reasoning is written, that behind it not yet */
    double first_s, drawn_s;
    uint64_t first_done;
};

static void clear_bar(struct screen *s)
{
    if (s->bar) {
        fputs("\r\033[K", stderr);
        s->bar = false;
    }
}

static int on_progress(void *ctx, const struct fg_client_progress *p)
{
    struct screen *s = ctx;
    struct winsize w;
    char line[256];
    double now = fg_clock_seconds();

    if (s->drawn_s == 0) {
        s->first_s = now;
        s->first_done = p->done;
    } else if (now - s->drawn_s < 0.05 && p->done < p->total) {
        return 0;
    }
    /* Tokens that were there at the first report came from the cache: they say nothing of speed. */
    double rate = now > s->first_s && p->done > s->first_done
                      ? (double)(p->done - s->first_done) / (now - s->first_s)
                      : 0;
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
    fg_cli_progress_format(line, sizeof line, p, rate, columns);
    fprintf(stderr, "\r%s\033[K", line);
    s->bar = true;
    s->drawn_s = now;
    return 0;
}

static void write_text(struct screen *s, const char *text, size_t bytes)
{
    s->line_open = text[bytes - 1] != '\n';
    if (s->filter) {
        fg_cli_terminal_write(stdout, text, bytes);
    } else {
        fwrite(text, 1, bytes, stdout);
    }
}

/* Dim on a terminal, and each piece for itself: whatever ends the program leaves no dim terminal.
 */
static void write_dim(struct screen *s, const char *text, size_t bytes)
{
    fputs(s->filter ? "\033[2m" : "", stdout);
    write_text(s, text, bytes);
    fputs(s->filter ? "\033[22m" : "", stdout);
}

static void end_reasoning(struct screen *s)
{
    static const char mark[] = "\n[end of reasoning]\n";
    size_t skip = s->line_open ? 0 : 1;

    if (s->thinking) {
        write_dim(s, mark + skip, sizeof mark - 1 - skip);
        s->thinking = false;
    }
}

static int on_reasoning(void *ctx, const char *text, size_t bytes)
{
    static const char mark[] = "\n[reasoning]\n";
    struct screen *s = ctx;
    size_t skip = s->line_open ? 0 : 1;

    clear_bar(s);
    if (!s->thinking) {
        write_dim(s, mark + skip, sizeof mark - 1 - skip);
        s->thinking = true;
    }
    write_dim(s, text, bytes);
    return fflush(stdout) != 0 || ferror(stdout);
}

static int on_text(void *ctx, const char *text, size_t bytes)
{
    struct screen *s = ctx;

    clear_bar(s);
    end_reasoning(s);
    write_text(s, text, bytes);
    return fflush(stdout) != 0 || ferror(stdout);
}

/* ---- Afterwards -------------------------------------------------------------------------------*/

static int print_result(const struct fg_cli *cli, const struct fg_client_result *r)
{
    const struct fg_client_account *a = &r->account;
    json_t *cache = json_null();

    if (r->has_account) {
        cache =
            json_pack("{s:I, s:I, s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f}", "reused_tokens",
                      (json_int_t)a->reused_tokens, "recomputed_tokens",
                      (json_int_t)a->recomputed_tokens, "source", fg_client_source_name(a->source),
                      "reason", a->reason, "diverged_at", (json_int_t)a->diverged_at, "queue_ms",
                      a->queue_ms, "restore_ms", a->restore_ms, "prefill_ms", a->prefill_ms,
                      "first_token_ms", a->first_token_ms, "decode_ms", a->decode_ms);
    }
    json_t *root = json_pack("{s:o, s:o, s:s, s:s, s:I, s:I, s:o, s:f, s:f}", "text",
                             json_stringn_nocheck(r->text, r->text_bytes), "reasoning",
                             json_stringn_nocheck(r->reasoning, r->reasoning_bytes),
                             "finish_reason", fg_client_finish_name(r->finish), "model", r->model,
                             "prompt_tokens", (json_int_t)r->prompt_tokens, "completion_tokens",
                             (json_int_t)r->completion_tokens, "cache", cache, "first_text_ms",
                             r->first_text_ms, "total_ms", r->total_ms);
    int bad = !root || json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0;
    json_decref(root);
    putchar('\n');
    if (bad) {
        fprintf(stderr, "%s: the result could not be written as JSON\n", cli->name);
    }
    return bad ? FG_CLI_ERROR : FG_CLI_OK;
}

static void print_stats(const struct fg_client_result *r)
{
    char line[512];
    fg_cli_stats_format(line, sizeof line, r);
    fprintf(stderr, "[%s]\n", line);
}

static int complete(const struct fg_cli *cli, const struct command *t, struct fg_client *client)
{
    struct screen screen = {.progress = isatty(STDERR_FILENO), .filter = isatty(STDOUT_FILENO)};
    struct fg_client_handler handler = {
        .on_text = t->json ? NULL : on_text,
        .on_reasoning = t->reasoning && !t->json ? on_reasoning : NULL,
        .on_progress = screen.progress ? on_progress : NULL,
        .ctx = &screen,
    };
    struct fg_cli_interrupt interrupt;
    struct fg_client_result result;
    struct fg_err err;
    int code = FG_CLI_OK;

    int rc = fg_cli_interrupt_init(&interrupt, client);
    if (rc < 0) {
        fprintf(stderr, "%s: no thread to watch for Ctrl-C\n", cli->name);
        return FG_CLI_ERROR;
    }
    rc = fg_client_complete(client, &t->request, &handler, &result, &err);
    fg_cli_interrupt_finish(&interrupt);
    clear_bar(&screen);
    end_reasoning(&screen);
    /* A file gets the answer's bytes and no more. */
    if (screen.line_open && screen.filter) {
        putchar('\n');
    }
    if (rc == FG_ECANCELED) {
        code = atomic_load(&interrupt.seen) ? FG_CLI_INTERRUPTED : FG_CLI_ERROR;
        fprintf(stderr, "%s: %s\n", cli->name,
                code == FG_CLI_INTERRUPTED ? "interrupted" : "standard output cannot be written");
    } else if (rc < 0) {
        code = fg_cli_fail(cli, &err);
    } else if (t->json) {
        code = print_result(cli, &result);
    }
    if (rc == 0 && t->stats) {
        fflush(stdout);
        print_stats(&result);
    }
    fg_client_result_finish(&result);
    return code;
}

static int ask(const struct fg_cli *cli, struct command *t, const struct fg_cli_text *text)
{
    struct fg_client_message messages[2];
    struct fg_client *client;

    fg_cli_prompt_request(&t->request, messages, t->system, t->from.raw, text);
    int code = fg_cli_connect(cli, &client);
    if (code == FG_CLI_OK) {
        code = complete(cli, t, client);
        fg_client_destroy(client);
    }
    return code;
}

static int run(struct fg_cli *cli, int argc, char **argv)
{
    struct command t = {.stats = isatty(STDERR_FILENO), .reasoning = isatty(STDOUT_FILENO)};
    struct fg_cli_text text;
    struct fg_err err;

    fg_client_request_init(&t.request);
    t.files = calloc((size_t)argc + 1, sizeof *t.files);
    if (!t.files) {
        fprintf(stderr, "%s: out of memory\n", cli->name);
        return FG_CLI_ERROR;
    }
    int code = parse(cli, argc, argv, &t);
    if (code < 0) {
        int rc = fg_cli_prompt_read(&t.from, &text, &err);
        if (rc == FG_EINVAL) {
            code = fg_cli_usage(cli, "%s", err.text);
        } else if (rc < 0) {
            code = fg_cli_fail(cli, &err);
        } else {
            code = ask(cli, &t, &text);
            free(text.p);
        }
    }
    free(t.files);
    return code;
}

const struct fg_cli_command fg_cli_run = {"run", "ask the model, print the answer as it arrives",
                                          help, run};
