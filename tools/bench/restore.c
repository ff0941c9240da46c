/* fulgur-bench restore: a prefix is computed and stored, then restored from the store by an engine
 * that has never seen it. Prints how much sooner it is there, the bytes a second beside memcpy's,
 * and what writing to the store costs prefill. */
#include "bench.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "prefix/bring.h"
#include "prefix/keep.h"
#include "gpu/device.h"

enum { MAX_PAIRS = 1000 };

static const char usage[] =
    "usage: fulgur-bench restore MODEL [-p N] [-r REPS] [-w PAIRS] [--kv f16|f32]\n"
    "                            [--numerics MODE] [--device INDEX|NAME]\n"
    "  -p N     tokens of the prefix, at least 64 (default 4096)\n"
    "  -r REPS  restores, each into an empty sequence (default 5)\n"
    "  -w PAIRS prefills of other prompts, one stored and one not, in turn: what writing costs\n"
    "           (default 0)\n"
    "The store lies in $TMPDIR for the time of the run, its file in the page cache.\n";

struct restore_bench {
    const char *model, *device;
    uint32_t n_tokens, reps, pairs;
    enum fg_kv_type kv;
    enum fg_numerics numerics;
    char dir[256];
    int32_t *tokens;
    float *logits;
    struct fg_gguf *gguf;
    struct fg_device *dev;
    struct fg_engine *engine;
    struct fg_engine_info info;
    struct fg_cache *cache;
    struct fg_prefix_cache prefix_cache;
    struct fg_prefix prefix;
};

static int parse_count(const char *option, const char *text, unsigned long least,
                       unsigned long most, uint32_t *out)
{
    char wanted[64], *end;
    unsigned long v = strtoul(text, &end, 10);
    if (end == text || *end || *text == '-' || v < least || v > most) {
        snprintf(wanted, sizeof wanted, "a number from %lu to %lu", least, most);
        return bench_wrong("fulgur-bench restore", option, text, wanted);
    }
    *out = (uint32_t)v;
    return 0;
}

static int parse(int argc, char **argv, struct restore_bench *b)
{
    static const struct option options[] = {{"device", required_argument, NULL, 'd'},
                                            {"kv", required_argument, NULL, 'k'},
                                            {"numerics", required_argument, NULL, 'N'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int c, rc = 0;
    while (rc == 0 && (c = getopt_long(argc, argv, "p:r:w:h", options, NULL)) != -1) {
        switch (c) {
        case 'p': rc = parse_count("-p", optarg, 64, 1ul << 24, &b->n_tokens); break;
        case 'r': rc = parse_count("-r", optarg, 1, 1000, &b->reps); break;
        case 'w': rc = parse_count("-w", optarg, 0, MAX_PAIRS, &b->pairs); break;
        case 'd': b->device = optarg; break;
        case 'k':
            b->kv = strcmp(optarg, "f32") == 0 ? FG_KV_F32 : FG_KV_F16;
            if (strcmp(optarg, "f32") != 0 && strcmp(optarg, "f16") != 0)
                rc = bench_wrong("fulgur-bench restore", "--kv", optarg, "f16 or f32");
            break;
        case 'N': rc = bench_numerics("fulgur-bench restore", optarg, &b->numerics); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); rc = 2;
        }
    }
    if (rc == 0 && optind + 1 != argc) {
        fputs(usage, stderr);
        rc = 2;
    }
    b->model = rc ? NULL : argv[optind];
    b->n_tokens = b->n_tokens / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS; /* whole blocks are stored */
    return rc;
}

static int open_engine(struct restore_bench *b, struct fg_err *err)
{
    struct fg_engine_options opt = {.kv_type = b->kv,
                                    .numerics = b->numerics,
                                    .n_ctx = b->n_tokens + FG_BLOCK_TOKENS,
                                    .n_seq = 1};
    int rc = fg_engine_create(&opt, b->gguf, b->dev, &b->engine, err);
    if (rc)
        return rc;
    fg_engine_info(b->engine, &b->info);
    fg_prefix_cache_init(&b->prefix_cache, b->engine, NULL, b->cache);
    return 0;
}

/* Another seed, another prompt from its first token on. */
static int draw_prompt(struct restore_bench *b, uint32_t seed, struct fg_err *err)
{
    uint8_t model[16];
    for (uint32_t i = 0; i < b->n_tokens; i++)
        b->tokens[i] =
            (int32_t)(((seed * 40503u + i + 1) * 2654435761u >> 8) % b->info.hp->n_vocab);
    fg_gguf_fingerprint(b->gguf, model);
    struct fg_key root = fg_key_root(model, b->info.numerics_id, NULL, 0);
    fg_prefix_finish(&b->prefix);
    fg_prefix_init(&b->prefix, &root);
    return fg_prefix_extend(&b->prefix, b->tokens, b->n_tokens, err);
}

static int open_all(struct restore_bench *b, struct fg_err *err)
{
    struct fg_cache_options cache = {.dir = b->dir, .max_bytes = 64ull << 30};
    const char *tmp = getenv("TMPDIR");
    int rc = fg_gguf_open(b->model, &b->gguf, err);
    if (rc == 0)
        rc = fg_device_open(b->device, NULL, &b->dev, err);
    snprintf(b->dir, sizeof b->dir, "%s/fulgur-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (rc == 0 && !mkdtemp(b->dir))
        rc = fg_fail(err, FG_EIO, "%s: cannot be created", b->dir);
    if (rc == 0)
        rc = fg_cache_open(&cache, &b->cache, err);
    if (rc == 0)
        rc = open_engine(b, err);
    if (rc)
        return rc;
    b->tokens = calloc(b->n_tokens, sizeof *b->tokens);
    b->logits = malloc((size_t)b->info.hp->n_vocab * sizeof *b->logits);
    if (!b->tokens || !b->logits)
        return fg_fail(err, FG_ENOMEM, "out of memory for %u tokens", b->n_tokens);
    return draw_prompt(b, 0, err);
}

static void close_all(struct restore_bench *b)
{
    char path[300];
    fg_cache_close(b->cache);
    for (int i = 0; b->cache && i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", b->dir,
                 (const char *[]){"data.mdb", "reserve", "lock"}[i]);
        unlink(path);
    }
    rmdir(b->dir);
    fg_prefix_finish(&b->prefix);
    fg_engine_destroy(b->engine);
    fg_device_close(b->dev);
    fg_gguf_close(b->gguf);
    free(b->tokens);
    free(b->logits);
}

/* Computes the prefix, and stores it where `write`; *took is until the last token is computed and
 * handed over, whatever the writer still has to do. */
static int prefill(struct restore_bench *b, bool write, double *took, struct fg_err *err)
{
    struct fg_trail trail;
    struct fg_seq *seq;
    int rc = fg_seq_create(b->engine, &seq, err);
    double start = fg_clock_seconds();
    *took = 0;
    if (rc)
        return rc;
    fg_trail_init(&trail);
    for (uint32_t at = 0; rc == 0 && at < b->n_tokens;) {
        uint32_t n = b->n_tokens - at < b->info.n_batch ? b->n_tokens - at : b->info.n_batch;
        struct fg_step_span piece = {seq, b->tokens + at, n, 0, b->logits, 0, NULL};
        rc = fg_engine_step(b->engine, &piece, 1, err);
        at += n;
        if (rc == 0 && write)
            rc = fg_store_blocks(&b->prefix_cache, &trail, seq, &b->prefix, b->tokens, err);
    }
    if (rc == 0 && write)
        rc = fg_store_state(&b->prefix_cache, &trail, seq, &b->prefix, b->tokens, err);
    *took = fg_clock_seconds() - start;
    fg_cache_flush(b->cache);
    fg_trail_finish(&trail, &b->prefix_cache);
    fg_seq_destroy(seq);
    return rc;
}

static int restore(struct restore_bench *b, double *took, struct fg_err *err)
{
    struct fg_restore w;
    struct fg_seq *seq;
    int rc = fg_seq_create(b->engine, &seq, err);
    if (rc)
        return rc;
    double start = fg_clock_seconds();
    fg_restore_begin(&w, &b->prefix_cache, &b->prefix, b->tokens, b->n_tokens / FG_BLOCK_TOKENS);
    while (rc == 0 && !w.done) {
        fg_restore_wait(&w);
        rc = fg_restore_advance(&w, &b->prefix_cache, &seq, 64, err);
    }
    fg_restore_stop(&w, &b->prefix_cache);
    *took = fg_clock_seconds() - start;
    if (rc == 0 && fg_seq_length(seq) != b->n_tokens)
        rc = fg_fail(err, FG_EIO, "%u of %u tokens came back from the store", fg_seq_length(seq),
                     b->n_tokens);
    fg_seq_destroy(seq);
    return rc;
}

/* Bytes a second of one thread's memcpy, between buffers of this size that have been touched. */
static double memcpy_rate(size_t bytes)
{
    char *from = malloc(bytes), *to = malloc(bytes);
    double best = 0;
    if (from && to) {
        memset(from, 1, bytes);
        memset(to, 2, bytes);
        for (int i = 0; i < 7; i++) {
            double start = fg_clock_seconds(), rate;
            memcpy(to, from, bytes);
            rate = (double)bytes / (fg_clock_seconds() - start);
            best = rate > best && to[bytes / 2] == 1 ? rate : best;
        }
    }
    free(from);
    free(to);
    return best;
}

static int run(struct restore_bench *b, struct fg_err *err)
{
    double computed, first, best = 1e9;
    int rc = prefill(b, true, &computed, err);
    if (rc)
        return rc;
    /* Another engine: nothing of the prefix is on the device. */
    fg_engine_destroy(b->engine);
    b->engine = NULL;
    rc = open_engine(b, err);
    if (rc == 0)
        rc = restore(b, &first, err);
    for (uint32_t i = 1; rc == 0 && i < b->reps; i++) {
        double took;
        rc = restore(b, &took, err);
        best = took < best ? took : best;
    }
    if (rc)
        return rc;
    best = first < best ? first : best;
    uint64_t bytes =
        (uint64_t)b->n_tokens / FG_BLOCK_TOKENS * b->info.page_bytes + b->info.state_bytes;
    double copy = memcpy_rate(bytes);
    printf("prefix       %u tokens, %.1f MB\n", b->n_tokens, (double)bytes / 1e6);
    printf("prefill      %.2f s (%.1f tokens/s)\n", computed, b->n_tokens / computed);
    printf("restore      %.1f ms the first time, %.1f ms at best\n", first * 1e3, best * 1e3);
    printf("factor       %.0f the first time, %.0f at best\n", computed / first, computed / best);
    printf("rate         %.2f GB/s the first time, %.2f at best\n", (double)bytes / first / 1e9,
           (double)bytes / best / 1e9);
    printf("memcpy       %.2f GB/s of one thread; the restore's is %.2f of it the first time, "
           "%.2f at best\n",
           copy / 1e9, (double)bytes / first / copy, (double)bytes / best / copy);
    return 0;
}

/* Stored and not, in turn, each pair the other way round than the one before. */
static int run_pairs(struct restore_bench *b, struct fg_err *err)
{
    static double stored[MAX_PAIRS], bare[MAX_PAIRS], ratio[MAX_PAIRS];
    struct fg_cache_stats before, after;
    int rc = 0;
    fg_cache_stats(b->cache, &before);
    for (uint32_t i = 0; rc == 0 && i < b->pairs; i++) {
        rc = draw_prompt(b, i + 1, err);
        for (int k = 0; rc == 0 && k < 2; k++) {
            bool write = (i + (uint32_t)k) % 2;
            rc = prefill(b, write, write ? &stored[i] : &bare[i], err);
        }
        ratio[i] = stored[i] / bare[i];
    }
    if (rc || b->pairs == 0)
        return rc;
    fg_cache_stats(b->cache, &after);
    double w = bench_stats(stored, b->pairs).median, n = bench_stats(bare, b->pairs).median;
    double r = bench_stats(ratio, b->pairs).median;
    printf("writing      %.3f s stored, %.3f s not; %.3f of it (medians of %u), %.1f MB written, "
           "%.0f records dropped\n",
           w, n, r, b->pairs, (double)(after.bytes_written - before.bytes_written) / 1e6,
           (double)(after.dropped_queue - before.dropped_queue));
    return 0;
}

int bench_restore(int argc, char **argv)
{
    struct restore_bench b = {.n_tokens = 4096, .reps = 5, .kv = FG_KV_F16};
    struct fg_err err = {0};
    int rc = parse(argc, argv, &b);
    if (rc)
        return rc;
    rc = open_all(&b, &err);
    if (rc == 0)
        rc = run(&b, &err);
    if (rc == 0)
        rc = run_pairs(&b, &err);
    close_all(&b);
    if (rc)
        fprintf(stderr, "fulgur-bench restore: %s\n", err.text);
    return rc ? 1 : 0;
}
