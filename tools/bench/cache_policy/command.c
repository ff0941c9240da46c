#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static const char usage[] =
    "usage: fulgur-bench cache-policy [--trace FILE.jsonl] [--budget SIZE[,SIZE...]]\n"
    "           [-o table|json] [--plot FILE.svg] [--requests N] [--seed N] [--rate N]\n"
    "Simulates cache policies over request traces, at the sizes of MiniMax-M1.\n"
    "  --trace FILE   a trace of your own (docs/cache-policy.md) in place of the generated ones\n"
    "  --budget SIZE  bytes of cache, ascending (default 4G,8G,16G,32G,64G,128G)\n"
    "  -o FORMAT      table or json (default table)\n"
    "  --plot FILE    writes a picture too\n"
    "  --requests N   of each generated trace (default 1000)\n"
    "  --seed N       of the generated traces (default 1)\n"
    "  --rate N       tokens of prefill a second (default 1000)\n";

struct options {
    const char *trace, *plot;
    size_t requests;
    bool json;
};

__attribute__((format(printf, 1, 2))) static int refuse(const char *fmt, ...)
{
    va_list ap;

    fputs("fulgur-bench: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 2;
}

/* A number with K, M, G or T behind it, up to a comma or the end. NULL: it is none. */
static const char *read_size(const char *s, uint64_t *out)
{
    static const char units[] = "KMGT";
    const char *unit;
    char *end;
    double n = strtod(s, &end), scale = 1;

    if (end == s || *s < '0' || *s > '9')
        return NULL;
    unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        end++;
        for (const char *u = units; u <= unit; u++)
            scale *= 1024;
    }
    if ((*end && *end != ',') || !(n * scale >= 1 << 20) || n * scale > 1e15)
        return NULL;
    *out = (uint64_t)(n * scale);
    return end;
}

static int read_budgets(struct report *r, const char *list)
{
    r->n_budgets = 0;
    for (const char *at = list; at;) {
        uint64_t n;

        at = read_size(at, &n);
        if (!at || r->n_budgets == REPORT_MAX_BUDGETS ||
            (r->n_budgets && n <= r->budgets[r->n_budgets - 1]))
            return refuse("--budget is `%s`; up to %d sizes like 512M or 20G, at least 1M and "
                          "ascending, with commas, are wanted",
                          list, REPORT_MAX_BUDGETS);
        r->budgets[r->n_budgets++] = n;
        at = *at == ',' ? at + 1 : NULL;
    }
    return 0;
}

static int read_number(const char *option, const char *s, uint64_t least, uint64_t most,
                       uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(s, &end, 10);
    if (*s < '0' || *s > '9' || *end || errno || *out < least || *out > most)
        return refuse("%s is `%s`; a number from %" PRIu64 " to %" PRIu64 " is wanted", option, s,
                      least, most);
    return 0;
}

static int set_option(int id, struct options *o, struct report *r)
{
    uint64_t n = 0;
    int rc = 0;

    switch (id) {
    case 't': o->trace = optarg; break;
    case 'p': o->plot = optarg; break;
    case 'b': return read_budgets(r, optarg);
    case 'o':
        o->json = strcmp(optarg, "json") == 0;
        if (!o->json && strcmp(optarg, "table") != 0)
            return refuse("-o is `%s`; table or json is wanted", optarg);
        break;
    case 'n':
        rc = read_number("--requests", optarg, 1, 100000, &n);
        o->requests = (size_t)n;
        break;
    case 's': rc = read_number("--seed", optarg, 1, UINT32_MAX, &r->seed); break;
    case 'r':
        rc = read_number("--rate", optarg, 1, 100000000, &n);
        r->model = sim_minimax_m1((double)n);
        break;
    }
    return rc;
}

/* -1: all is said. */
static int parse(int argc, char **argv, struct options *o, struct report *r)
{
    static const struct option options[] = {{"trace", required_argument, NULL, 't'},
                                            {"budget", required_argument, NULL, 'b'},
                                            {"plot", required_argument, NULL, 'p'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"requests", required_argument, NULL, 'n'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"rate", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int c, rc = read_budgets(r, "4G,8G,16G,32G,64G,128G");

    optind = 1;
    opterr = 0;
    while (rc == 0) {
        int at = optind;

        c = getopt_long(argc, argv, "+:o:h", options, NULL);
        if (c == -1)
            break;
        if (c == 'h') {
            fputs(usage, stdout);
            return -1;
        }
        if (c == ':')
            return refuse("%s needs a value; see cache-policy --help", argv[at]);
        if (c == '?')
            return refuse("%s is no option; see cache-policy --help", argv[at]);
        rc = set_option(c, o, r);
    }
    if (rc == 0 && optind < argc)
        return refuse("%s: no argument is wanted here; see cache-policy --help", argv[optind]);
    return rc;
}

/* A trace of which nothing but the results stays. */
static int run_trace(struct report *r, struct trace *t, struct fg_err *err)
{
    struct report_trace *out = &r->traces[r->n_traces];
    int rc = 0;

    snprintf(out->name, sizeof out->name, "%s", t->name);
    out->requests = t->n;
    for (size_t b = 0; rc == 0 && b < r->n_budgets; b++) {
        fprintf(stderr, "fulgur-bench: trace %s, budget %zu of %zu\n", t->name, b + 1,
                r->n_budgets);
        for (size_t p = 0; rc == 0 && p < sim_n_policies; p++)
            rc = sim_run(t, &sim_policies[p], &r->model, r->budgets[b], &out->results[b][p], err);
    }
    r->n_traces++;
    return rc;
}

static int run_all(struct report *r, const struct options *o, struct fg_err *err)
{
    unsigned n = o->trace ? 1 : TRACE_KINDS;
    int rc = 0;

    r->traces = calloc(TRACE_KINDS, sizeof *r->traces);
    if (!r->traces)
        return fg_fail(err, FG_ENOMEM, "no memory for the results");
    for (unsigned i = 0; rc == 0 && i < n; i++) {
        struct trace t = {.n = 0};

        if (o->trace) {
            FILE *f = fopen(o->trace, "r");

            rc = f ? trace_read(&t, f, o->trace, err)
                   : fg_fail(err, FG_EIO, "%s: %s", o->trace, strerror(errno));
            if (f)
                fclose(f);
        } else {
            rc = trace_generate(&t, i, o->requests, r->seed, err);
        }
        if (rc == 0)
            rc = run_trace(r, &t, err);
        trace_finish(&t);
    }
    return rc;
}

static int write_plot(const struct report *r, const char *path, struct fg_err *err)
{
    FILE *f = fopen(path, "w");
    bool bad;

    if (!f)
        return fg_fail(err, FG_EIO, "%s: %s", path, strerror(errno));
    report_plot(r, f);
    bad = ferror(f);
    if (fclose(f) != 0 || bad)
        return fg_fail(err, FG_EIO, "%s: it could not be written", path);
    return 0;
}

int policy_command(int argc, char **argv)
{
    struct report r = {.seed = 1, .model = sim_minimax_m1(1000)};
    struct options o = {.requests = 1000};
    struct fg_err err = {0};
    int rc = parse(argc, argv, &o, &r);

    if (rc)
        return rc < 0 ? 0 : rc;
    if (o.trace)
        r.seed = 0;
    rc = run_all(&r, &o, &err);
    if (rc == 0 && o.plot)
        rc = write_plot(&r, o.plot, &err);
    if (rc == 0 && o.json)
        rc =
            report_json(&r, stdout) ? fg_fail(&err, FG_EIO, "the results could not be written") : 0;
    else if (rc == 0)
        report_table(&r, stdout);
    if (rc)
        fprintf(stderr, "fulgur-bench: %s\n", err.text);
    free(r.traces);
    /* A bad trace file is the caller's mistake. */
    return rc == 0 ? 0 : rc == FG_EINVAL ? 2 : 1;
}
