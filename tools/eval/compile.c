/* Compiles every shader variant with the specialization constants in use: what a driver's compiler
 * has to say is said here, also by drivers that only compile (RADV_FORCE_FAMILY). --statistics
 * prints a table of those variants that a graphics card gets: registers, spills, shared memory, and
 * the compiler's estimates; a spill is a failure. */
#include "eval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/command.h"

/* The constants of shaders that need more than zeros. */
static const struct {
    const char *base;
    uint32_t spec[FG_SPEC_COUNT];
} specs[] = {
    {"softmax_attend", {1, 1, 64, 0, 1}},    {"softmax_attend", {1, 8, 128, 0, 1}},
    {"softmax_attend", {4, 3, 64, 0, 0}},    {"softmax_attend", {4, 2, 128, 0, 1}},
    {"softmax_attend", {1, 2, 256, 0, 1}},   {"softmax_attend", {4, 2, 256, 0, 1}},
    {"lightning_attend", {1, 0, 128, 0, 0}}, {"lightning_attend", {4, 0, 128, 0, 0}},
    {"lightning_attend", {4, 0, 32, 0, 0}},  {"lightning_fold", {0, 0, 128, 0, 0}},
    {"delta_attend", {1, 0, 128, 0, 0}},     {"delta_attend", {4, 0, 128, 0, 0}},
    {"delta_system", {1, 0, 128, 0, 0}},     {"delta_system", {4, 0, 128, 0, 0}},
    {"delta_fold", {0, 0, 128, 0, 0}},       {"delta_rows", {1, 4, 0, 0, 0}},
    {"delta_rows", {8, 4, 0, 0, 0}},
};

static bool is_base(const char *name, const char *base)
{
    size_t n = strlen(base);
    return strncmp(name, base, n) == 0 && (name[n] == 0 || name[n] == '.');
}

/* Compiled as `specs` says, and not with zeros. */
static bool has_specs(const char *name)
{
    static const char *const bases[] = {"softmax_attend", "lightning_attend", "lightning_fold",
                                        "delta_attend",   "delta_system",     "delta_fold",
                                        "delta_rows"};
    bool found = false;

    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        found = found || is_base(name, bases[i]);
    return found;
}

/* Lanes of the product variants: a tile's rows over the rows of a lane. */
static void matmul_spec(const char *name, bool subgroup, uint32_t spec[FG_SPEC_COUNT])
{
    uint32_t rows = strstr(name, ".r1t") ? 1 : strstr(name, ".r2t") ? 2 : 4;
    memset(spec, 0, FG_SPEC_COUNT * sizeof *spec);
    spec[0] = 32 / rows;
    spec[1] = subgroup || rows > 1 ? 1 : 4;
    spec[4] = 1;
}

/* The number behind `label` in "name value" lines; -1 where there is none. */
static double value_of(const char *text, const char *label)
{
    size_t n = strlen(label);

    for (const char *at = text; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
        if (strncmp(at, label, n) == 0 && at[n] == ' ')
            return strtod(at + n, NULL);
    return -1;
}

static int print_statistics(struct fg_device *d, const char *name, const uint32_t *spec)
{
    char text[FG_STATISTICS_BYTES];
    struct fg_err err = {0};
    double spills;

    if (fg_pipeline_statistics(d, name, spec, text, &err))
        return eval_fail("%s: %s", name, err.text);
    spills = value_of(text, "Spilled SGPRs") + value_of(text, "Spilled VGPRs");
    printf("| %s | %u %u %u | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f |\n", name, spec[0], spec[1],
           spec[2], value_of(text, "VGPRs"), value_of(text, "SGPRs"), spills,
           value_of(text, "LDS size"), value_of(text, "Latency"),
           value_of(text, "Inverse Throughput"));
    if (value_of(text, "LDS size") > 16384)
        return eval_fail("%s: %.0f bytes of shared memory; 16384 are sure", name,
                         value_of(text, "LDS size"));
    return spills > 0 ? eval_fail("%s: %.0f registers are spilled", name, spills) : EVAL_OK;
}

static int compile_one(struct fg_device *d, const char *name, const uint32_t *spec, bool statistics,
                       uint32_t *n)
{
    struct fg_pipeline *p;
    struct fg_err err = {0};
    /* Variants by subgroup and texel buffer are those of software devices. */
    if (statistics && !strstr(name, ".sg") && !strstr(name, ".tex")) {
        (*n)++;
        return print_statistics(d, name, spec);
    }
    if (statistics)
        return EVAL_OK;
    if (fg_pipeline_get(d, name, spec, &p, &err))
        return eval_fail("%s {%u, %u, %u, %u, %u}: %s", name, spec[0], spec[1], spec[2], spec[3],
                         spec[4], err.text);
    (*n)++;
    return EVAL_OK;
}

int eval_compile(int argc, char **argv)
{
    static const struct option options[] = {
        {"device", required_argument, NULL, 'd'}, {"statistics", no_argument, NULL, 's'}, {0}};
    const char *select = NULL, *name;
    struct fg_device *d;
    struct fg_err err = {0};
    bool statistics = false;
    uint32_t n = 0;
    int rc = EVAL_OK, c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            statistics = true;
        else if (c == 'd')
            select = optarg;
        else
            return EVAL_USAGE;
    }
    if (fg_device_open(select, NULL, &d, &err))
        return eval_fail("%s", err.text);
    const struct fg_device_info *info = fg_device_info(d);
    if (statistics)
        printf("| shader | constants 0 to 2 | VGPRs | SGPRs | spilled | LDS | latency | inverse "
               "throughput |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (uint32_t i = 0; rc == EVAL_OK && (name = fg_shader_name(i)); i++) {
        uint32_t spec[FG_SPEC_COUNT] = {0};
        bool subgroup = strstr(name, ".sg") != NULL, known = false;
        if ((subgroup && !info->subgroup_ballot) || (strstr(name, ".dot") && !info->int_dot_fast))
            continue;
        if (subgroup && is_base(name, "softmax_attend")) {
            /* {.., query heads, head dimension}: as many rows as forward.c lets them have. */
            const uint32_t rows[FG_SPEC_COUNT] = {0, 3, 64, 0, 1};
            known = true;
            rc = compile_one(d, name, rows, statistics, &n);
        }
        for (size_t j = 0; rc == EVAL_OK && !known && j < sizeof specs / sizeof *specs; j++)
            if (is_base(name, specs[j].base))
                rc = compile_one(d, name, specs[j].spec, statistics, &n);
        known = known || has_specs(name);
        if (known || rc)
            continue;
        if (is_base(name, "matmul") || is_base(name, "matmul_moe")) {
            matmul_spec(name, subgroup, spec);
            spec[2] = 1; /* gated */
            rc = compile_one(d, name, spec, statistics, &n);
            spec[2] = 0;
        }
        if (rc == EVAL_OK)
            rc = compile_one(d, name, spec, statistics, &n);
    }
    if (rc == EVAL_OK)
        printf("%u pipelines compiled for %s (%s)\n", n, info->name, info->driver);
    fg_device_close(d);
    return rc;
}
