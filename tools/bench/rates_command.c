/* fulgur-bench without a command: prefill and decode rates of a model on a device. */
#include "versus.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: fulgur-bench MODEL [OPTION]...             prefill and decode rates\n"
    "  -p N[,N...]     prefill of N tokens (default 512; 0: none)\n"
    "  -n N[,N...]     decode of N tokens (default 32; 0: none)\n"
    "  -d N[,N...]     each of them behind N tokens (default 0)\n"
    "  -r N            repetitions after one warm-up (default 3)\n"
    "  -o FORMAT       table, csv or json (default table)\n"
    "  --kv f16|f32    type of the stored keys and values (default f16)\n"
    "  --numerics MODE exact, int8 or fused (default exact)\n"
    "  --device WHICH  its number, or a part of its name\n"
    "  --cache-dir DIR with the tilings that fulgurd has found for the device and keeps there, or\n"
    "                  finds now (up to 20 s); without it the usual ones\n"
    "  --vs-llama DIR  in turn with llama-bench of a llama.cpp build: DIR/bin or DIR holds it; -r\n"
    "                  rounds, in each of which both load the model, warm up and run every test\n"
    "  --llama-args A  more arguments for it, with blanks between: \"-ngl 0\", \"-ngl 99 -fa on\"\n"
    "       fulgur-bench kernels [MODEL] [OPTION]...  each kernel against the device's rates\n"
    "       fulgur-bench restore MODEL [OPTION]...    a stored prefix against its prefill\n"
    "       fulgur-bench forms MODEL [OPTION]...      answers of a given form beside free ones\n"
    "       fulgur-bench cache-policy [OPTION]...     what cache policies save, simulated\n";

static int set_format(struct rates_options *o, const char *text)
{
    static const char *const names[] = {"table", "csv", "json"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            o->format = (enum rates_format)i;
            return 0;
        }
    return bench_wrong("fulgur-bench", "-o", text, "table, csv or json");
}

static int set_kv(struct rates_options *o, const char *text)
{
    o->kv = strcmp(text, "f32") == 0 ? FG_KV_F32 : FG_KV_F16;
    if (strcmp(text, "f32") != 0 && strcmp(text, "f16") != 0)
        return bench_wrong("fulgur-bench", "--kv", text, "f16 or f32");
    return 0;
}

static int set_reps(struct rates_options *o, const char *text)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || v < 1 || v > RATES_MAX_REPS)
        return bench_wrong("fulgur-bench", "-r", text, "a number from 1 to 1000");
    o->reps = (uint32_t)v;
    return 0;
}

static int parse(int argc, char **argv, struct rates_options *o)
{
    static const struct option options[] = {
        {"device", required_argument, NULL, 'D'},   {"kv", required_argument, NULL, 'k'},
        {"numerics", required_argument, NULL, 'N'}, {"cache-dir", required_argument, NULL, 'c'},
        {"vs-llama", required_argument, NULL, 'l'}, {"llama-args", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},           {0}};
    int c, rc = 0;
    while (rc == 0 && (c = getopt_long(argc, argv, "p:n:d:r:o:h", options, NULL)) != -1) {
        switch (c) {
        case 'p': o->prompts = optarg; break;
        case 'n': o->gens = optarg; break;
        case 'd': o->depths = optarg; break;
        case 'r': rc = set_reps(o, optarg); break;
        case 'o': rc = set_format(o, optarg); break;
        case 'D': o->device = optarg; break;
        case 'k': rc = set_kv(o, optarg); break;
        case 'N': rc = bench_numerics("fulgur-bench", optarg, &o->numerics); break;
        case 'c': o->cache_dir = optarg; break;
        case 'l': o->llama_dir = optarg; break;
        case 'a': o->llama_args = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); return 2;
        }
    }
    if (rc == 0 && optind + 1 != argc) {
        fputs(usage, stderr);
        rc = 2;
    }
    o->model = rc ? NULL : argv[optind];
    return rc;
}

static int measure_alone(struct rates *r, struct fg_err *err)
{
    int rc = rates_measure(r, err);
    if (rc == 0)
        rates_print(r, stdout);
    return rc;
}

static int measure_both(const struct rates *r, const char *program, struct fg_err *err)
{
    struct versus_side sides[2];
    int rc = versus_measure(r, program, sides, err);
    if (rc == 0)
        versus_print(r, sides, stdout);
    versus_finish(r, sides);
    return rc;
}

int bench_rates(const char *program, int argc, char **argv)
{
    struct rates_options opt = {.prompts = "512", .gens = "32", .depths = "0", .reps = 3};
    static struct rates r;
    struct fg_err err = {0};
    int rc = parse(argc, argv, &opt);
    if (rc)
        return rc;
    rc = rates_init(&r, &opt, &err);
    if (rc == 0)
        rc = opt.llama_dir ? measure_both(&r, program, &err) : measure_alone(&r, &err);
    if (rc)
        fprintf(stderr, "fulgur-bench: %s\n", err.text);
    rates_finish(&r);
    return rc == FG_EINVAL ? 2 : rc ? 1 : 0;
}
