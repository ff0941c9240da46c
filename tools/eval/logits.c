/* Logits of every position of a token file, computed in pieces, and from a cache where there is
 * one. */
#include "eval.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cache/cache.h"
#include "prefix/prefix_keys.h"
#include "prefix/bring.h"
#include "prefix/keep.h"

struct args {
    const char *model, *tokens, *out, *split, *device, *cache_dir;
    enum fg_kv_type kv;
    enum fg_numerics numerics;
};

struct work {
    struct args a;
    struct fg_gguf *gguf;
    struct fg_device *device;
    struct fg_engine *engine;
    struct fg_engine_info info;
    struct fg_cache *cache;
    struct fg_prefix_cache prefix_cache;
    struct fg_prefix prefix;
    struct fg_trail trail;
    struct fg_seq *seq;
    int32_t *tokens;
    uint32_t n_tokens, restored;
    float *logits; /* [n_batch][n_vocab] */
    FILE *out;
};

static int parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {
        {"tokens", required_argument, NULL, 't'},    {"out", required_argument, NULL, 'o'},
        {"split", required_argument, NULL, 's'},     {"kv", required_argument, NULL, 'k'},
        {"device", required_argument, NULL, 'd'},    {"numerics", required_argument, NULL, 'n'},
        {"cache-dir", required_argument, NULL, 'c'}, {0}};
    struct fg_err err;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 't': a->tokens = optarg; break;
        case 'o': a->out = optarg; break;
        case 's': a->split = optarg; break;
        case 'd': a->device = optarg; break;
        case 'c': a->cache_dir = optarg; break;
        case 'k':
            if (strcmp(optarg, "f16") != 0 && strcmp(optarg, "f32") != 0) {
                eval_fail("--kv %s: f16 or f32 is wanted", optarg);
                return EVAL_USAGE;
            }
            a->kv = optarg[1] == '1' ? FG_KV_F16 : FG_KV_F32;
            break;
        case 'n':
            if (fg_numerics_parse(optarg, &a->numerics, &err)) {
                eval_fail("--%s", err.text);
                return EVAL_USAGE;
            }
            break;
        default: return EVAL_USAGE;
        }
    }
    if (optind + 1 != argc || !a->tokens || !a->out) {
        eval_fail("logits wants MODEL --tokens FILE.i32 --out FILE.f32");
        return EVAL_USAGE;
    }
    a->model = argv[optind];
    return EVAL_OK;
}

static int read_tokens(struct work *w)
{
    struct fg_err err;
    char *bytes;
    size_t n;

    if (fg_file_read(w->a.tokens, (size_t)INT32_MAX / 2 * 4, &bytes, &n, &err))
        return eval_fail("%s", err.text);
    if (n == 0 || n % 4) {
        free(bytes);
        return eval_fail("%s: %zu bytes are not a whole number of 32-bit token ids", w->a.tokens,
                         n);
    }
    w->n_tokens = (uint32_t)(n / 4);
    w->tokens = (int32_t *)bytes; /* as malloc() aligned it */
    return EVAL_OK;
}

/* Sizes of pieces: a fixed number, pseudo-random ones, or as many as a step takes. */
struct splitter {
    uint32_t fixed, most;
    uint64_t state; /* 0: not random */
};

static int parse_split(const char *text, struct splitter *s)
{
    char *end;
    unsigned long v;
    if (!text)
        return EVAL_OK;
    bool random = strncmp(text, "random:", 7) == 0;
    errno = 0;
    v = strtoul(random ? text + 7 : text, &end, 10);
    if (errno || *end || end == text || (random && end == text + 7) || (!random && v == 0) ||
        v > UINT32_MAX / 2) {
        eval_fail("--split %s: a number of tokens or random:SEED is wanted", text);
        return EVAL_USAGE;
    }
    if (random)
        s->state = v * 2 + 1;
    else
        s->fixed = (uint32_t)v;
    return EVAL_OK;
}

static uint32_t next_piece(struct splitter *s)
{
    if (s->state) {
        s->state = s->state * 6364136223846793005u + 1442695040888963407u;
        return 1 + (uint32_t)(s->state >> 33) % 200;
    }
    return s->fixed ? s->fixed : s->most;
}

static int open_all(struct work *w, struct fg_err *err)
{
    struct fg_engine_options opt = {.kv_type = w->a.kv,
                                    .numerics = w->a.numerics,
                                    .n_ctx = w->n_tokens < 64 ? 64 : w->n_tokens,
                                    .n_seq = 1};
    uint8_t model[16];
    int rc = fg_gguf_open(w->a.model, &w->gguf, err);
    if (rc == 0)
        rc = fg_device_open(w->a.device, NULL, &w->device, err);
    if (rc == 0)
        rc = fg_engine_create(&opt, w->gguf, w->device, &w->engine, err);
    if (rc == 0 && w->a.cache_dir) {
        struct fg_cache_options cache = {.dir = w->a.cache_dir, .max_bytes = 16ull << 30};
        rc = fg_cache_open(&cache, &w->cache, err);
    }
    if (rc)
        return rc;
    fg_engine_info(w->engine, &w->info);
    fg_prefix_cache_init(&w->prefix_cache, w->engine, NULL, w->cache);
    fg_trail_init(&w->trail);
    fg_gguf_fingerprint(w->gguf, model);
    struct fg_key root = fg_key_root(model, w->info.numerics_id, NULL, 0);
    fg_prefix_init(&w->prefix, &root);
    rc = fg_prefix_extend(&w->prefix, w->tokens, w->n_tokens, err);
    if (rc == 0)
        rc = fg_seq_create(w->engine, &w->seq, err);
    w->logits = malloc((size_t)w->info.n_batch * w->info.hp->n_vocab * 4);
    if (rc == 0 && !w->logits)
        rc = fg_fail(err, FG_ENOMEM, "out of memory for %u rows of logits", w->info.n_batch);
    return rc;
}

static int restore(struct work *w, struct fg_err *err)
{
    struct fg_restore r;
    int rc = 0;
    if (!w->cache)
        return 0;
    fg_restore_begin(&r, &w->prefix_cache, &w->prefix, w->tokens,
                     (w->n_tokens - 1) / FG_BLOCK_TOKENS);
    while (rc == 0 && !r.done) {
        fg_restore_wait(&r);
        rc = fg_restore_advance(&r, &w->prefix_cache, &w->seq, 64, err);
    }
    fg_restore_stop(&r, &w->prefix_cache);
    w->restored = w->seq ? fg_seq_length(w->seq) : 0;
    printf("restored %u of %u tokens\n", w->restored, w->n_tokens);
    return rc;
}

/* One step of n tokens, its logits to the file, its blocks and states to the cache. */
static int step(struct work *w, uint32_t n, struct fg_err *err)
{
    uint32_t at = fg_seq_length(w->seq);
    struct fg_step_span piece = {w->seq, w->tokens + at, n, n, w->logits, 0, NULL};
    size_t floats = (size_t)n * w->info.hp->n_vocab;
    int rc = fg_engine_step(w->engine, &piece, 1, err);
    if (rc)
        return rc;
    if (fwrite(w->logits, 4, floats, w->out) != floats)
        return fg_fail(err, FG_EIO, "%s: %s", w->a.out, strerror(errno));
    if (!w->cache)
        return 0;
    at += n;
    rc = fg_store_blocks(&w->prefix_cache, &w->trail, w->seq, &w->prefix, w->tokens, err);
    /* As in the daemon: a state at the prompt's last boundary and every 1,024 tokens. */
    if (rc == 0 && at % FG_BLOCK_TOKENS == 0 &&
        (at % 1024 == 0 || at + FG_BLOCK_TOKENS > w->n_tokens))
        rc = fg_store_state(&w->prefix_cache, &w->trail, w->seq, &w->prefix, w->tokens, err);
    return rc;
}

static int compute(struct work *w, struct splitter *s, struct fg_err *err)
{
    int rc = 0;
    s->most = w->info.n_batch;
    while (rc == 0 && fg_seq_length(w->seq) < w->n_tokens) {
        uint32_t left = next_piece(s);
        while (rc == 0 && left && fg_seq_length(w->seq) < w->n_tokens) {
            uint32_t at = fg_seq_length(w->seq), n = left < s->most ? left : s->most;
            if (n > w->n_tokens - at)
                n = w->n_tokens - at;
            left -= n;
            /* With a cache, steps also end where a state may be kept. */
            uint32_t to_boundary = FG_BLOCK_TOKENS - at % FG_BLOCK_TOKENS;
            if (w->cache && w->info.state_bytes && n > to_boundary) {
                left += n - to_boundary;
                n = to_boundary;
            }
            rc = step(w, n, err);
        }
    }
    return rc;
}

static void close_all(struct work *w)
{
    fg_trail_finish(&w->trail, &w->prefix_cache);
    if (w->seq)
        fg_seq_destroy(w->seq);
    if (w->cache)
        fg_cache_close(w->cache);
    fg_prefix_finish(&w->prefix);
    fg_engine_destroy(w->engine);
    fg_device_close(w->device);
    fg_gguf_close(w->gguf);
    free(w->tokens);
    free(w->logits);
}

int eval_logits(int argc, char **argv)
{
    struct work w = {.a = {.kv = FG_KV_F16}};
    struct splitter split = {0};
    struct fg_err err = {0};
    int rc = parse(argc, argv, &w.a);

    if (rc == EVAL_OK)
        rc = parse_split(w.a.split, &split);
    if (rc == EVAL_OK)
        rc = read_tokens(&w);
    if (rc)
        return rc;
    fg_trail_init(&w.trail);
    rc = open_all(&w, &err);
    if (rc == 0)
        rc = restore(&w, &err);
    if (rc == 0 && !(w.out = fopen(w.a.out, "wb")))
        rc = fg_fail(&err, FG_EIO, "%s: %s", w.a.out, strerror(errno));
    if (rc == 0)
        rc = compute(&w, &split, &err);
    if (w.out && fclose(w.out) && rc == 0)
        rc = fg_fail(&err, FG_EIO, "%s: %s", w.a.out, strerror(errno));
    close_all(&w);
    return rc ? eval_fail("%s", err.text) : EVAL_OK;
}
