/* fulgur-bench kernels: each kernel's bytes and operations a second beside the rates that the same
 * device reaches in the same run. */
#include "bench.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/device.h"
#include "kernel_bench.h"

static const char usage[] =
    "usage: fulgur-bench kernels [MODEL] [OPTION]...\n"
    "  MODEL           its matrices' shapes; built-in ones without it\n"
    "  -k PART         only kernels with PART in their name or shape\n"
    "  -r REPS         timed runs of each, whose median counts (default 5)\n"
    "  -o FORMAT       table, csv or json (default table)\n"
    "  --kv f16|f32    type of the stored keys and values (default f16)\n"
    "  --device WHICH  its number, or a part of its name\n";

enum format { TABLE, CSV, JSON };

struct kernels {
    const char *model, *device, *part;
    enum format format;
    struct fg_kernel_bench_options opt;
    struct fg_gguf *gguf;
    struct fg_device *dev;
    struct fg_kernel_bench *bench;
    struct fg_kernel_roof roof;
    json_t *all;
};

static int set_format(struct kernels *k, const char *text)
{
    static const char *const names[] = {"table", "csv", "json"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            k->format = (enum format)i;
            return 0;
        }
    return bench_wrong("fulgur-bench kernels", "-o", text, "table, csv or json");
}

static int set_kv(struct kernels *k, const char *text)
{
    k->opt.kv_type = strcmp(text, "f32") == 0 ? FG_KV_F32 : FG_KV_F16;
    if (strcmp(text, "f32") != 0 && strcmp(text, "f16") != 0)
        return bench_wrong("fulgur-bench kernels", "--kv", text, "f16 or f32");
    return 0;
}

static int set_reps(struct kernels *k, const char *text)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || v < 1 || v > FG_KERNEL_BENCH_MAX_REPS)
        return bench_wrong("fulgur-bench kernels", "-r", text, "a number from 1 to 100");
    k->opt.reps = (uint32_t)v;
    return 0;
}

static int parse(int argc, char **argv, struct kernels *k)
{
    static const struct option options[] = {{"device", required_argument, NULL, 'D'},
                                            {"kv", required_argument, NULL, 'K'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int c, rc = 0;
    while (rc == 0 && (c = getopt_long(argc, argv, "k:r:o:h", options, NULL)) != -1) {
        switch (c) {
        case 'k': k->part = optarg; break;
        case 'r': rc = set_reps(k, optarg); break;
        case 'o': rc = set_format(k, optarg); break;
        case 'D': k->device = optarg; break;
        case 'K': rc = set_kv(k, optarg); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); return 2;
        }
    }
    if (rc == 0 && optind + 1 < argc) {
        fputs(usage, stderr);
        rc = 2;
    }
    k->model = rc == 0 && optind < argc ? argv[optind] : NULL;
    return rc;
}

static void print_head(const struct kernels *k)
{
    const struct fg_device_info *d = fg_device_info(k->dev);
    if (k->format == CSV)
        puts("kernel,shape,seconds,gbytes_s,gflops,load_share,madd_share");
    if (k->format != TABLE)
        return;
    printf("device %s, %s\n", d->name, d->driver);
    printf("loads %.2f GB/s, copies %.2f GB/s", k->roof.load / 1e9, k->roof.copy / 1e9);
    if (k->roof.load_texel > 0)
        printf("; through texel buffers %.2f and %.2f GB/s", k->roof.load_texel / 1e9,
               k->roof.copy_texel / 1e9);
    printf("\nmultiply and add %.2f GFLOP/s\n\n", k->roof.madd / 1e9);
    puts("| kernel | shape, tokens | time | GB/s | GFLOP/s | % of loads | % of multiply-add |\n"
         "| --- | --- | ---: | ---: | ---: | ---: | ---: |");
    fflush(stdout);
}

/* Against the rate of loads through the kind of buffer that the kernel uses. */
static void print_one(struct kernels *k, const struct fg_kernel_time *t)
{
    double load = t->texel ? k->roof.load_texel : k->roof.load;
    double bytes = t->bytes / t->seconds, flops = t->flops / t->seconds;
    switch (k->format) {
    case TABLE:
        printf("| %s | %s | %.1f us | %.2f | %.2f | %.1f | %.1f |\n", t->kernel, t->shape,
               t->seconds * 1e6, bytes / 1e9, flops / 1e9, 100 * bytes / load,
               100 * flops / k->roof.madd);
        fflush(stdout);
        break;
    case CSV:
        printf("%s,\"%s\",%.6g,%.6g,%.6g,%.6g,%.6g\n", t->kernel, t->shape, t->seconds, bytes / 1e9,
               flops / 1e9, bytes / load, flops / k->roof.madd);
        break;
    case JSON:
        json_array_append_new(k->all, json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:b}",
                                                "kernel", t->kernel, "shape", t->shape, "seconds",
                                                t->seconds, "bytes", t->bytes, "flops", t->flops,
                                                "load_share", bytes / load, "madd_share",
                                                flops / k->roof.madd, "texel", (int)t->texel));
        break;
    }
}

static void print_json(struct kernels *k)
{
    const struct fg_device_info *d = fg_device_info(k->dev);
    const struct fg_kernel_roof *r = &k->roof;
    json_t *whole = json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:O}", "device", d->name,
                              "driver", d->driver, "load_bytes_s", r->load, "copy_bytes_s", r->copy,
                              "load_texel_bytes_s", r->load_texel, "copy_texel_bytes_s",
                              r->copy_texel, "madd_flops", r->madd, "kernels", k->all);
    json_dumpf(whole, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(whole);
}

static int run(struct kernels *k, struct fg_err *err)
{
    int rc = k->model ? fg_gguf_open(k->model, &k->gguf, err) : 0;
    if (rc == 0)
        rc = fg_device_open(k->device, NULL, &k->dev, err);
    if (rc == 0)
        rc = fg_kernel_bench_create(&k->opt, k->dev, k->gguf, &k->bench, err);
    if (rc == 0)
        rc = fg_kernel_bench_roof(k->bench, &k->roof, err);
    if (rc)
        return rc;
    print_head(k);
    for (uint32_t i = 0; rc == 0 && i < fg_kernel_bench_count(k->bench); i++) {
        struct fg_kernel_time t;
        fg_kernel_bench_name(k->bench, i, &t);
        if (k->part && !strstr(t.kernel, k->part) && !strstr(t.shape, k->part))
            continue;
        rc = fg_kernel_bench_run(k->bench, i, &t, err);
        if (rc == 0)
            print_one(k, &t);
    }
    if (rc == 0 && k->format == JSON)
        print_json(k);
    return rc;
}

int bench_kernels(int argc, char **argv)
{
    struct kernels k = {
        .opt = {.reps = 5, .seconds = 0.05, .copies_bytes = 256 << 20, .depths = {512, 8192}}};
    struct fg_err err = {0};
    int rc = parse(argc, argv, &k);
    if (rc)
        return rc;
    k.all = json_array();
    rc = run(&k, &err);
    if (rc)
        fprintf(stderr, "fulgur-bench kernels: %s\n", err.text);
    json_decref(k.all);
    fg_kernel_bench_destroy(k.bench);
    fg_device_close(k.dev);
    fg_gguf_close(k.gguf);
    return rc ? 1 : 0;
}
