#include "versus.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"

enum { MAX_ARGS = 64, MAX_PATH = 4096 };

/* An argument list that owns the words of --llama-args. */
struct command {
    char *argv[MAX_ARGS];
    int n;
    char path[MAX_PATH];
    char *words;
};

static void add(struct command *c, const char *option, const char *value)
{
    if (c->n + 2 >= MAX_ARGS)
        return;
    c->argv[c->n++] = (char *)option;
    if (value)
        c->argv[c->n++] = (char *)value;
}

/* One repetition of all tests. */
static void add_tests(struct command *c, const struct rates_options *o)
{
    add(c, "-p", o->prompts);
    add(c, "-n", o->gens);
    add(c, "-d", o->depths);
    add(c, "-r", "1");
    add(c, "-o", "json");
}

static void command_of_ours(struct command *c, const char *ours, const struct rates_options *o)
{
    memset(c, 0, sizeof *c);
    add(c, ours, o->model);
    add_tests(c, o);
    add(c, "--kv", o->kv == FG_KV_F16 ? "f16" : "f32");
    add(c, "--numerics", fg_numerics_name(o->numerics));
    if (o->cache_dir)
        add(c, "--cache-dir", o->cache_dir);
    if (o->device)
        add(c, "--device", o->device);
}

static int command_of_llama(struct command *c, const struct rates_options *o, struct fg_err *err)
{
    char *save;

    memset(c, 0, sizeof *c);
    snprintf(c->path, sizeof c->path, "%s/bin/llama-bench", o->llama_dir);
    if (access(c->path, X_OK) != 0)
        snprintf(c->path, sizeof c->path, "%s/llama-bench", o->llama_dir);
    if (access(c->path, X_OK) != 0)
        return fg_fail(err, FG_ENOTFOUND,
                       "%s: no llama-bench there or in its bin; name the build directory of "
                       "llama.cpp",
                       o->llama_dir);
    add(c, c->path, NULL);
    add(c, "-m", o->model);
    add_tests(c, o);
    if (o->kv == FG_KV_F32) {
        add(c, "-ctk", "f32");
        add(c, "-ctv", "f32");
    }
    if (!o->llama_args)
        return 0;
    c->words = strdup(o->llama_args);
    if (!c->words)
        return fg_fail(err, FG_ENOMEM, "out of memory for --llama-args");
    for (char *w = strtok_r(c->words, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
        if (c->n + 2 >= MAX_ARGS)
            return fg_fail(err, FG_EINVAL, "--llama-args: more than %d words", MAX_ARGS / 2);
        add(c, w, NULL);
    }
    return 0;
}

static bool says(const json_t *one, const char *key, uint32_t value)
{
    const json_t *v = json_object_get(one, key);
    return value == (v ? (uint32_t)json_integer_value(v) : 0);
}

/* The rate of test t in what a bench printed. */
static int find_rate(const json_t *all, const struct rates_test *t, const char *program,
                     double *rate, struct fg_err *err)
{
    char name[64];
    const json_t *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        const json_t *v = json_object_get(one, "avg_ts");
        if (!says(one, "n_prompt", t->n_prompt) || !says(one, "n_gen", t->n_gen) ||
            !says(one, "n_depth", t->n_depth) || !json_is_number(v) || json_number_value(v) <= 0)
            continue;
        *rate = json_number_value(v);
        return 0;
    }
    return fg_fail(err, FG_EFORMAT, "%s: printed no rate (avg_ts) of the test \"%s\"", program,
                   rates_test_name(t, name));
}

/* Ours names a device; llama-bench its commit, what it offloads, and the processors. */
static void note_place(const json_t *all, struct versus_side *side)
{
    const json_t *one = json_array_get(all, 0);
    const char *device = json_string_value(json_object_get(one, "device"));
    const char *gpu = json_string_value(json_object_get(one, "gpu_info"));
    const char *cpu = json_string_value(json_object_get(one, "cpu_info"));
    const char *commit = json_string_value(json_object_get(one, "build_commit"));
    const char *backends = json_string_value(json_object_get(one, "backends"));
    if (device)
        snprintf(side->ran_on, sizeof side->ran_on, "%s", device);
    else
        snprintf(side->ran_on, sizeof side->ran_on,
                 "build %s, backends %s, %d layers offloaded, %s", commit ? commit : "unknown",
                 backends ? backends : "unknown",
                 (int)json_integer_value(json_object_get(one, "n_gpu_layers")),
                 gpu && *gpu ? gpu : (cpu ? cpu : "processor unknown"));
}

static int run_side(const struct rates *r, struct command *c, struct versus_side *side,
                    uint32_t rep, struct fg_err *err)
{
    json_error_t where;
    json_t *all = NULL;
    char *text;
    size_t n;
    int rc = child_run(c->argv, &text, &n, err);

    if (rc == 0) {
        all = json_loadb(text, n, 0, &where);
        if (!json_is_array(all))
            rc = fg_fail(err, FG_EFORMAT, "%s: printed no JSON array: %s", c->argv[0],
                         all ? "it is another value" : where.text);
    }
    for (uint32_t i = 0; rc == 0 && i < r->n_tests; i++)
        rc = find_rate(all, &side->tests[i], c->argv[0], &side->tests[i].samples[rep], err);
    if (rc == 0)
        note_place(all, side);
    json_decref(all);
    free(text);
    return rc;
}

static int make_side(const struct rates *r, struct versus_side *side, struct fg_err *err)
{
    side->tests = calloc(r->n_tests, sizeof *side->tests);
    for (uint32_t i = 0; side->tests && i < r->n_tests; i++) {
        side->tests[i] = r->tests[i];
        side->tests[i].samples = calloc(r->opt.reps, sizeof(double));
        if (!side->tests[i].samples)
            return fg_fail(err, FG_ENOMEM, "out of memory for the samples");
    }
    return side->tests ? 0 : fg_fail(err, FG_ENOMEM, "out of memory for the samples");
}

int versus_measure(const struct rates *r, const char *ours, struct versus_side sides[2],
                   struct fg_err *err)
{
    struct command commands[2];
    int rc;

    memset(sides, 0, 2 * sizeof *sides);
    command_of_ours(&commands[0], ours, &r->opt);
    rc = command_of_llama(&commands[1], &r->opt, err);
    for (int k = 0; rc == 0 && k < 2; k++)
        rc = make_side(r, &sides[k], err);
    for (uint32_t rep = 0; rc == 0 && rep < r->opt.reps; rep++)
        for (int k = 0; rc == 0 && k < 2; k++) {
            fprintf(stderr, "fulgur-bench: round %u of %u: %s\n", rep + 1, r->opt.reps,
                    k ? "llama.cpp" : "fulgur");
            rc = run_side(r, &commands[k], &sides[k], rep, err);
        }
    for (int k = 0; rc == 0 && k < 2; k++)
        for (uint32_t i = 0; i < r->n_tests; i++)
            sides[k].tests[i].ts = bench_stats(sides[k].tests[i].samples, r->opt.reps);
    free(commands[1].words);
    return rc;
}

void versus_finish(const struct rates *r, struct versus_side sides[2])
{
    for (int k = 0; k < 2; k++) {
        for (uint32_t i = 0; sides[k].tests && i < r->n_tests; i++)
            free(sides[k].tests[i].samples);
        free(sides[k].tests);
    }
}
