/* fulgur-bench: prefill and decode rates of a model on a device, as llama-bench reports them; and
 * the commands beside it. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "cache_policy/command.h"
#include "gpu/device.h"
#include "model/engine.h"

enum { MAX_TESTS = 32, MAX_REPS = 1000 };

struct test {
    uint32_t n_prompt, n_gen;
    double avg_ts, stddev_ts; /* tokens a second */
};

struct bench {
    const char *model, *device;
    bool json;
    uint32_t reps;
    enum fg_kv_type kv;
    struct test tests[MAX_TESTS];
    uint32_t n_tests;
    struct fg_gguf *gguf;
    struct fg_device *dev;
    struct fg_engine *engine;
    struct fg_engine_info info;
};

static const char usage[] =
    "usage: fulgur-bench MODEL [-p N[,N...]] [-n N[,N...]] [-r REPS] [-o table|json]\n"
    "                    [--kv f16|f32] [--device INDEX|NAME]\n"
    "  -p N   prefill of N tokens (default 512; 0: none)\n"
    "  -n N   decode of N tokens after an empty prompt (default 32; 0: none)\n"
    "  -r N   repetitions after one warm-up (default 3)\n"
    "       fulgur-bench restore MODEL [OPTION]...    a stored prefix against its prefill\n"
    "       fulgur-bench cache-policy [OPTION]...     what cache policies save, simulated\n";

double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A list N[,N...] of tests; 0 adds none. */
static int add_tests(struct bench *b, const char *list, bool prompt)
{
    for (const char *at = list; *at;) {
        char *end;
        unsigned long n = strtoul(at, &end, 10);
        if (end == at || (*end && *end != ',') || n > 1u << 24 || b->n_tests == MAX_TESTS) {
            fprintf(stderr,
                    "fulgur-bench: -%c %s: up to %d numbers of tokens, with commas, are wanted\n",
                    prompt ? 'p' : 'n', list, MAX_TESTS);
            return 2;
        }
        if (n)
            b->tests[b->n_tests++] = (struct test){.n_prompt = prompt ? (uint32_t)n : 0,
                                                   .n_gen = prompt ? 0 : (uint32_t)n};
        at = *end ? end + 1 : end;
    }
    return 0;
}

int bench_wrong(const char *program, const char *option, const char *text, const char *wanted)
{
    fprintf(stderr, "%s: %s %s: it must be %s\n", program, option, text, wanted);
    return 2;
}

static int parse(int argc, char **argv, struct bench *b)
{
    static const struct option options[] = {{"device", required_argument, NULL, 'd'},
                                            {"kv", required_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *prompts = "512", *gens = "32";
    char *end;
    int c;
    while ((c = getopt_long(argc, argv, "p:n:r:o:h", options, NULL)) != -1) {
        switch (c) {
        case 'p': prompts = optarg; break;
        case 'n': gens = optarg; break;
        case 'r':
            b->reps = (uint32_t)strtoul(optarg, &end, 10);
            if (*end || b->reps < 1 || b->reps > MAX_REPS)
                return bench_wrong("fulgur-bench", "-r", optarg, "a number from 1 to 1000");
            break;
        case 'o':
            b->json = strcmp(optarg, "json") == 0;
            if (!b->json && strcmp(optarg, "table") != 0)
                return bench_wrong("fulgur-bench", "-o", optarg, "table or json");
            break;
        case 'd': b->device = optarg; break;
        case 'k':
            b->kv = strcmp(optarg, "f32") == 0 ? FG_KV_F32 : FG_KV_F16;
            if (strcmp(optarg, "f32") != 0 && strcmp(optarg, "f16") != 0)
                return bench_wrong("fulgur-bench", "--kv", optarg, "f16 or f32");
            break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        return 2;
    }
    b->model = argv[optind];
    int rc = add_tests(b, prompts, true);
    return rc ? rc : add_tests(b, gens, false);
}

/* Seconds of one run. Tokens are pseudo-random, as no text is needed to measure. */
static int run_once(struct bench *b, const struct test *t, double *took, struct fg_err *err)
{
    uint32_t n_vocab = b->info.hp->n_vocab, n = t->n_prompt ? t->n_prompt : t->n_gen;
    uint32_t a_step = t->n_prompt ? b->info.n_batch : 1;
    int32_t *tokens = calloc(n, sizeof *tokens);
    float *logits = malloc((size_t)n_vocab * sizeof *logits);
    struct fg_seq *seq = NULL;
    int rc = tokens && logits ? 0 : fg_fail(err, FG_ENOMEM, "out of memory for %u tokens", n);

    for (uint32_t i = 0; rc == 0 && i < n; i++)
        tokens[i] = (int32_t)(((i + 1) * 2654435761u >> 8) % n_vocab);
    if (rc == 0)
        rc = fg_seq_create(b->engine, &seq, err);
    double start = bench_seconds();
    for (uint32_t i = 0; rc == 0 && i < n; i += a_step) {
        uint32_t left = n - i < a_step ? n - i : a_step;
        /* A prefill ends with the logits of its last token; a decode step with its own. */
        uint32_t wanted = t->n_gen || i + left == n;
        struct fg_step_piece piece = {seq, tokens + i, left, wanted, logits};
        rc = fg_engine_step(b->engine, &piece, 1, err);
    }
    *took = bench_seconds() - start;
    fg_seq_destroy(seq);
    free(tokens);
    free(logits);
    return rc;
}

static int run_test(struct bench *b, struct test *t, struct fg_err *err)
{
    double sum = 0, squares = 0, took;
    int rc = run_once(b, t, &took, err);
    for (uint32_t r = 0; rc == 0 && r < b->reps; r++) {
        rc = run_once(b, t, &took, err);
        double rate = (t->n_prompt + t->n_gen) / took;
        sum += rate;
        squares += rate * rate;
    }
    t->avg_ts = sum / b->reps;
    double variance = squares / b->reps - t->avg_ts * t->avg_ts;
    t->stddev_ts = b->reps > 1 && variance > 0 ? sqrt(variance * b->reps / (b->reps - 1)) : 0;
    return rc;
}

static void print_table(const struct bench *b)
{
    printf("| model | device | test | tokens/s |\n| --- | --- | ---: | ---: |\n");
    for (uint32_t i = 0; i < b->n_tests; i++) {
        const struct test *t = &b->tests[i];
        printf("| %s | %s | %s%u | %.2f +- %.2f |\n", b->model, fg_device_info(b->dev)->name,
               t->n_prompt ? "prefill " : "decode ", t->n_prompt + t->n_gen, t->avg_ts,
               t->stddev_ts);
    }
}

static void print_json(const struct bench *b)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < b->n_tests; i++) {
        const struct test *t = &b->tests[i];
        json_array_append_new(
            all,
            json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:f}", "model_filename", b->model,
                      "device", fg_device_info(b->dev)->name, "driver",
                      fg_device_info(b->dev)->driver, "type_k", b->kv == FG_KV_F16 ? "f16" : "f32",
                      "n_prompt", (int)t->n_prompt, "n_gen", (int)t->n_gen, "repetitions",
                      (int)b->reps, "avg_ts", t->avg_ts, "stddev_ts", t->stddev_ts));
    }
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

int main(int argc, char **argv)
{
    struct bench b = {.reps = 3, .kv = FG_KV_F16};
    struct fg_err err = {0};
    uint32_t longest = 64;
    if (argc > 1 && strcmp(argv[1], "restore") == 0)
        return bench_restore(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "cache-policy") == 0)
        return policy_command(argc - 1, argv + 1);
    int rc = parse(argc, argv, &b);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < b.n_tests; i++)
        if (b.tests[i].n_prompt + b.tests[i].n_gen > longest)
            longest = b.tests[i].n_prompt + b.tests[i].n_gen;
    struct fg_engine_options opt = {.kv_type = b.kv, .n_ctx = longest, .n_seq = 1};
    rc = fg_gguf_open(b.model, &b.gguf, &err);
    if (rc == 0)
        rc = fg_device_open(b.device, NULL, &b.dev, &err);
    if (rc == 0)
        rc = fg_engine_create(&opt, b.gguf, b.dev, NULL, NULL, &b.engine, &err);
    if (rc == 0)
        fg_engine_info(b.engine, &b.info);
    for (uint32_t i = 0; rc == 0 && i < b.n_tests; i++) {
        fprintf(stderr, "fulgur-bench: test %u of %u\n", i + 1, b.n_tests);
        rc = run_test(&b, &b.tests[i], &err);
    }
    if (rc)
        fprintf(stderr, "fulgur-bench: %s\n", err.text);
    else if (b.json)
        print_json(&b);
    else
        print_table(&b);
    fg_engine_destroy(b.engine);
    fg_device_close(b.dev);
    fg_gguf_close(b.gguf);
    return rc ? 1 : 0;
}
