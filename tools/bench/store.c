/* fulgur-bench store: states are put into a store that holds few of them, restored, and evicted.
 * Needs no device. Prints the rates, the file's size, and how long a put takes as the file ages. */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/blob.h"
#include "base/clock.h"
#include "cache/cache.h"

enum { MOST_STATES = 100000, ROWS = 10, BLOCK_BYTES = 4096 };

static const char usage[] =
    "usage: fulgur-bench store [--states N] [--bytes SIZE] [--size SIZE] [--dir DIR]\n"
    "  --states N    states to put, one after the other, at least 10 (default 50)\n"
    "  --bytes SIZE  of each, from 1K to 64G (default 280M)\n"
    "  --size SIZE   the store's budget (default 10G)\n"
    "  --dir DIR     where the store lies for the time of the run (default $TMPDIR or /tmp)\n"
    "SIZE is a number with K, M, G or nothing behind it, in powers of 1024.\n";

struct store_bench {
    uint32_t states;
    uint64_t bytes, size;
    char dir[512];
    struct fg_cache *cache;
    struct fg_key root;
    double *put, *get; /* [states] seconds; of a get that missed: 0 */
    uint64_t *file;    /* [states] bytes of the data file behind each */
};

static int parse_size(const char *option, const char *text, uint64_t *out)
{
    char *end;
    double v = strtod(text, &end);
    double unit = *end == 'K' ? 1024.0 : *end == 'M' ? 1048576.0 : *end == 'G' ? 1073741824.0 : 1;

    if (unit > 1)
        end++;
    if (end == text || *end || !(v * unit >= 1024 && v * unit <= 1e14))
        return bench_wrong("fulgur-bench store", option, text, "a size such as 280M or 10G");
    *out = (uint64_t)(v * unit);
    return 0;
}

static int parse_states(const char *text, uint32_t *out)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);

    if (end == text || *end || v < ROWS || v > MOST_STATES)
        return bench_wrong("fulgur-bench store", "--states", text, "a number from 10 to 100000");
    *out = (uint32_t)v;
    return 0;
}

static int parse(int argc, char **argv, struct store_bench *b)
{
    static const struct option options[] = {{"states", required_argument, NULL, 's'},
                                            {"bytes", required_argument, NULL, 'b'},
                                            {"size", required_argument, NULL, 'z'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {0}};
    const char *tmp = getenv("TMPDIR");
    int o, rc = 0;

    snprintf(b->dir, sizeof b->dir, "%s", tmp && *tmp ? tmp : "/tmp");
    while (!rc && (o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 's': rc = parse_states(optarg, &b->states); break;
        case 'b': rc = parse_size("--bytes", optarg, &b->bytes); break;
        case 'z': rc = parse_size("--size", optarg, &b->size); break;
        case 'd': snprintf(b->dir, sizeof b->dir, "%s", optarg); break;
        default: rc = 2;
        }
    }
    if (!rc && optind < argc)
        rc = 2;
    if (rc)
        fputs(usage, stderr);
    return rc;
}

static int open_store(struct store_bench *b, struct fg_err *err)
{
    struct fg_cache_options opt = {.dir = b->dir, .max_bytes = b->size};
    size_t n = strlen(b->dir);

    b->put = calloc(b->states, sizeof *b->put);
    b->get = calloc(b->states, sizeof *b->get);
    b->file = calloc(b->states, sizeof *b->file);
    if (!b->put || !b->get || !b->file)
        return fg_fail(err, FG_ENOMEM, "no memory for %" PRIu32 " states", b->states);
    if (n + 32 > sizeof b->dir)
        return fg_fail(err, FG_EINVAL, "--dir: the name is too long");
    snprintf(b->dir + n, sizeof b->dir - n, "/fulgur-bench-XXXXXX");
    if (!mkdtemp(b->dir)) {
        int e = errno;

        b->dir[n] = '\0';
        return fg_fail(err, FG_EIO, "%s: cannot make a directory in it: %s", b->dir, strerror(e));
    }
    memset(&b->root, 0x5a, sizeof b->root);
    return fg_cache_open(&opt, &b->cache, err);
}

static void close_store(struct store_bench *b)
{
    static const char *const files[] = {"data.mdb", "reserve", "lock"};
    char path[600];

    fg_cache_close(b->cache);
    for (size_t i = 0; b->cache && i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", b->dir, files[i]);
        unlink(path);
    }
    if (b->cache)
        rmdir(b->dir);
    free(b->put);
    free(b->get);
    free(b->file);
}

/* A prompt of one block, with a state at its end: state i is of the i-th. */
static void tokens_of(uint32_t i, int32_t tokens[FG_BLOCK_TOKENS])
{
    for (int j = 0; j < FG_BLOCK_TOKENS; j++)
        tokens[j] = (int32_t)(i * 64 + (uint32_t)j);
}

/* Bytes that do not compress and that are of this state alone. */
static void fill(struct fg_blob *blob, uint64_t seed)
{
    for (uint32_t i = 0; i < fg_blob_pieces(blob); i++) {
        size_t n;
        uint8_t *p = fg_blob_piece(blob, i, &n);

        for (size_t at = 0; at + 8 <= n; at += 8) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            memcpy(p + at, &seed, 8);
        }
    }
}

/* Puts state i, and waits until it is on the disk. */
static int put_state(struct store_bench *b, struct fg_blob *block, struct fg_blob *state,
                     uint32_t i)
{
    int32_t tokens[FG_BLOCK_TOKENS];
    struct fg_cache_stats stats;
    struct fg_cache_put p = {.tokens = tokens, .blob = block, .parent = &b->root, .seconds = 0.01};
    struct fg_key key;
    double start;
    int rc;

    tokens_of(i, tokens);
    key = fg_key_next(&b->root, tokens);
    p.key = &key;
    fill(state, i + 1);
    start = fg_clock_seconds();
    rc = fg_cache_put(b->cache, &p);
    p.blob = state;
    p.is_state = true;
    p.at = FG_AT_PROMPT_END;
    if (!rc)
        rc = fg_cache_put(b->cache, &p);
    fg_cache_flush(b->cache);
    b->put[i] = fg_clock_seconds() - start;
    fg_cache_stats(b->cache, &stats);
    b->file[i] = stats.file_bytes;
    return rc;
}

/* Fetches state i and compares it with what was put. 1: it was there. */
static int get_state(struct store_bench *b, struct fg_blob *state, uint32_t i, struct fg_err *err)
{
    struct fg_cache_fetch f = {.is_state = true, .bytes = b->bytes};
    bool same = true;
    double start;
    int rc;

    tokens_of(i, f.tokens);
    f.key = fg_key_next(&b->root, f.tokens);
    fill(state, i + 1);
    start = fg_clock_seconds();
    rc = fg_cache_get(b->cache, &f, err);
    if (rc == FG_ENOTFOUND)
        return 0;
    if (rc)
        return rc;
    b->get[i] = fg_clock_seconds() - start;
    for (uint32_t k = 0; k < fg_blob_pieces(state); k++) {
        size_t n;
        const void *want = fg_blob_piece(state, k, &n);

        same = same && memcmp(want, fg_blob_piece(f.blob, k, &n), n) == 0;
    }
    fg_blob_unref(f.blob);
    return same ? 1 : fg_fail(err, FG_ECORRUPT, "state %" PRIu32 " came back changed", i);
}

static double mean(const double *v, uint32_t from, uint32_t to)
{
    double sum = 0;

    for (uint32_t i = from; i < to; i++)
        sum += v[i];
    return sum / (to - from);
}

static void print(const struct store_bench *b, uint32_t restored)
{
    double put = mean(b->put, 0, b->states), get = 0, first, last;
    struct fg_cache_stats s;

    for (uint32_t i = 0; i < b->states; i++)
        get += b->get[i];
    fg_cache_stats(b->cache, &s);
    printf("| states put | ms a put | MB/s | file, MiB |\n| ---: | ---: | ---: | ---: |\n");
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t from = row * b->states / ROWS, to = (row + 1) * b->states / ROWS;
        double t = mean(b->put, from, to);

        printf("| %" PRIu32 " | %.0f | %.0f | %" PRIu64 " |\n", to, t * 1e3,
               (double)b->bytes / t / 1e6, b->file[to - 1] >> 20);
    }
    first = mean(b->put, 0, b->states / ROWS);
    last = mean(b->put, b->states - b->states / ROWS, b->states);
    printf("\nput          %.0f MB/s on average, the disk's syncs included\n",
           (double)b->bytes / put / 1e6);
    if (restored)
        printf("restore      %.0f MB/s, %" PRIu32 " of %" PRIu32 " states were still there\n",
               (double)b->bytes * restored / get / 1e6, restored, b->states);
    printf("evicted      %" PRIu64 " records, %" PRIu64 " dropped for want of room, %" PRIu64
           " failed writes\n",
           s.evicted, s.dropped_full, s.write_errors);
    printf("file         %" PRIu64 " MiB, budget %" PRIu64 " MiB\n", s.file_bytes >> 20,
           s.max_bytes >> 20);
    printf("growth       %.2f: ms a put in the last tenth over those in the first\n", last / first);
}

static int run(struct store_bench *b, struct fg_err *err)
{
    struct fg_blob *state = NULL, *block = fg_blob_create(BLOCK_BYTES);
    uint32_t restored = 0;
    int rc = block ? 0 : FG_ENOMEM;

    if (!rc)
        fill(block, 0);
    for (uint32_t i = 0; !rc && i < b->states; i++) {
        state = fg_blob_create(b->bytes); /* the queue may still hold the one before */
        rc = state ? put_state(b, block, state, i) : FG_ENOMEM;
        fg_blob_unref(state);
    }
    if (rc)
        fg_fail(err, rc, "a state of %" PRIu64 " bytes could not be put: %s", b->bytes,
                fg_strerror(rc));
    state = rc ? NULL : fg_blob_create(b->bytes);
    for (uint32_t i = 0; state && rc >= 0 && i < b->states; i++) {
        rc = get_state(b, state, i, err);
        restored += rc == 1;
    }
    if (rc >= 0) {
        rc = 0;
        print(b, restored);
    }
    fg_blob_unref(state);
    fg_blob_unref(block);
    return rc;
}

int bench_store(int argc, char **argv)
{
    struct store_bench b = {.states = 50, .bytes = 280ull << 20, .size = 10ull << 30};
    struct fg_err err = {0};
    int rc = parse(argc, argv, &b);

    if (rc)
        return rc;
    rc = open_store(&b, &err);
    if (!rc)
        rc = run(&b, &err);
    close_store(&b);
    if (rc)
        fprintf(stderr, "fulgur-bench store: %s\n", err.text);
    return rc ? 1 : 0;
}
