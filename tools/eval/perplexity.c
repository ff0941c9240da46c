/* fulgur-eval perplexity: how well a model predicts a text, and, beside another numerics mode, how
 * far the two distributions lie apart.
 *
 * The text's tokens (no bos, control tokens not looked for) are cut into windows of --ctx tokens.
 * Each window begins with an empty sequence; its first token is given and not counted. Over the
 * others: perplexity = exp(mean of -ln p), bits per byte = sum of -log2 p / their bytes. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "eval.h"
#include "serve/vocabulary.h"

enum { MAX_BYTES = 256 << 20 };

struct args {
    const char *model, *file, *device;
    enum fg_numerics modes[2]; /* of what is measured; of what it is compared with */
    bool against, json;
    uint32_t ctx;
};

struct side {
    struct fg_engine *engine;
    float *logits; /* [batch][n_vocab] */
    double nats;   /* sum of -ln p */
};

struct work {
    struct args a;
    struct fg_gguf *gguf;
    struct fg_device *device;
    struct fg_vocabulary vocabulary;
    struct side sides[2];
    uint32_t n_sides, batch, n_vocab;
    int32_t *tokens;
    size_t n_tokens, n_scored, bytes, same_best;
    double kl, kl_most;
};

static int wrong(const char *option, const char *text, const char *wanted)
{
    eval_fail("--%s %s: %s is wanted", option, text, wanted);
    return EVAL_USAGE;
}

static int set_mode(enum fg_numerics *out, const char *option, const char *text)
{
    struct fg_err err;
    return fg_numerics_parse(text, out, &err) ? wrong(option, text, FG_NUMERICS_NAMES) : 0;
}

static int parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {{"file", required_argument, NULL, 'f'},
                                            {"ctx", required_argument, NULL, 'c'},
                                            {"numerics", required_argument, NULL, 'n'},
                                            {"against", required_argument, NULL, 'a'},
                                            {"device", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    int c, rc = 0;
    unsigned long v;
    char *end;
    while (rc == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'f': a->file = optarg; break;
        case 'd': a->device = optarg; break;
        case 'j': a->json = true; break;
        case 'n': rc = set_mode(&a->modes[0], "numerics", optarg); break;
        case 'a':
            a->against = true;
            rc = set_mode(&a->modes[1], "against", optarg);
            break;
        case 'c':
            v = strtoul(optarg, &end, 10);
            if (*optarg < '0' || *optarg > '9' || *end || v < 2 || v > 1 << 24)
                rc = wrong("ctx", optarg, "a number from 2 to 16777216");
            a->ctx = (uint32_t)v;
            break;
        default: rc = EVAL_USAGE;
        }
    }
    if (rc == 0 && (optind + 1 != argc || !a->file)) {
        eval_fail("perplexity wants MODEL --file TEXT");
        rc = EVAL_USAGE;
    }
    a->model = rc ? NULL : argv[optind];
    return rc;
}

static int read_text(struct work *w, struct fg_err *err)
{
    char *text;
    size_t n;
    int rc = fg_file_read(w->a.file, MAX_BYTES, &text, &n, err);

    if (rc == 0 && n == 0)
        rc = fg_fail(err, FG_EINVAL, "%s: 0 bytes; 1 to %d are wanted", w->a.file, MAX_BYTES);
    if (rc == 0)
        rc = fg_tokenizer_encode(w->vocabulary.tokenizer, (struct fg_str){text, n},
                                 (struct fg_encode_options){.most = 0}, &w->tokens, &w->n_tokens,
                                 err);
    if (rc == 0 && w->n_tokens < 2)
        rc = fg_fail(err, FG_EINVAL, "%s: %zu tokens; at least 2 are wanted", w->a.file,
                     w->n_tokens);
    free(text);
    return rc;
}

static int open_side(struct work *w, uint32_t i, struct fg_err *err)
{
    struct side *s = &w->sides[i];
    struct fg_engine_options opt = {
        .numerics = w->a.modes[i], .n_ctx = w->a.ctx < 64 ? 64 : w->a.ctx, .n_seq = 1};
    struct fg_engine_info info;
    int rc = fg_engine_create(&opt, w->gguf, w->device, &s->engine, err);
    if (rc)
        return rc;
    fg_engine_info(s->engine, &info);
    w->n_vocab = info.hp->n_vocab;
    if (w->batch == 0 || info.n_batch < w->batch)
        w->batch = info.n_batch;
    s->logits = malloc((size_t)info.n_batch * w->n_vocab * sizeof *s->logits);
    return s->logits ? 0 : fg_fail(err, FG_ENOMEM, "out of memory for logits");
}

static int open_all(struct work *w, struct fg_err *err)
{
    struct fg_hparams hp;
    int rc = fg_gguf_open(w->a.model, &w->gguf, err);
    if (rc == 0)
        rc = fg_hparams_init(&hp, w->gguf, err);
    if (rc)
        return rc;
    rc = fg_vocabulary_init(&w->vocabulary, w->gguf, hp.n_vocab, (struct fg_str){"", 0}, err);
    if (rc == 0 && w->a.ctx > hp.n_ctx_train)
        rc = fg_fail(err, FG_EINVAL, "--ctx %u: the model's context is %u", w->a.ctx,
                     hp.n_ctx_train);
    fg_hparams_finish(&hp);
    if (rc == 0)
        rc = read_text(w, err);
    if (rc == 0)
        rc = fg_device_open(w->a.device, NULL, &w->device, err);
    w->n_sides = w->a.against ? 2 : 1;
    for (uint32_t i = 0; rc == 0 && i < w->n_sides; i++)
        rc = open_side(w, i, err);
    return rc;
}

/* ln of the sum of e^logit. */
static double log_sum(const float *logits, uint32_t n, uint32_t *best)
{
    double sum = 0;
    *best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[*best])
            *best = i;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)logits[*best]);
    return (double)logits[*best] + log(sum);
}

/* Counts what row `row` of the step says of the token that follows. */
static void score(struct work *w, size_t row, int32_t next)
{
    const float *l[2] = {NULL, NULL};
    double z[2] = {0, 0}, kl = 0;
    uint32_t best[2] = {0, 0};
    size_t n;
    for (uint32_t i = 0; i < w->n_sides; i++) {
        l[i] = w->sides[i].logits + row * w->n_vocab;
        z[i] = log_sum(l[i], w->n_vocab, &best[i]);
        w->sides[i].nats += z[i] - (double)l[i][next];
    }
    for (uint32_t v = 0; w->n_sides == 2 && v < w->n_vocab; v++) {
        double p = (double)l[1][v] - z[1], q = (double)l[0][v] - z[0];
        kl += exp(p) * (p - q);
    }
    w->kl += kl;
    w->kl_most = kl > w->kl_most ? kl : w->kl_most;
    w->same_best += best[0] == best[1];
    w->n_scored++;
    fg_tokenizer_piece(w->vocabulary.tokenizer, next, &n);
    w->bytes += n;
}

/* The window [from, to) of the tokens. */
static int run_window(struct work *w, size_t from, size_t to, struct fg_err *err)
{
    struct fg_seq *seqs[2] = {NULL, NULL};
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->n_sides; i++)
        rc = fg_seq_create(w->sides[i].engine, &seqs[i], err);
    for (size_t at = from; rc == 0 && at < to;) {
        uint32_t n = to - at < w->batch ? (uint32_t)(to - at) : w->batch;
        for (uint32_t i = 0; rc == 0 && i < w->n_sides; i++) {
            struct fg_step_span piece = {seqs[i], w->tokens + at, n, n, w->sides[i].logits, 0,
                                         NULL};
            rc = fg_engine_step(w->sides[i].engine, &piece, 1, err);
        }
        for (uint32_t i = 0; rc == 0 && i < n; i++)
            if (at + i + 1 < to)
                score(w, i, w->tokens[at + i + 1]);
        at += n;
        fprintf(stderr, "\rfulgur-eval: %zu of %zu tokens", at, w->n_tokens);
    }
    for (uint32_t i = 0; i < w->n_sides; i++)
        fg_seq_destroy(seqs[i]);
    return rc;
}

static void print(const struct work *w)
{
    double n = (double)w->n_scored, nats = w->sides[0].nats;
    double ppl = exp(nats / n), bits = nats / log(2) / (double)w->bytes;
    json_t *all;
    if (!w->a.json) {
        printf("tokens         %zu in windows of %u, %zu of them predicted (%zu bytes)\n",
               w->n_tokens, w->a.ctx, w->n_scored, w->bytes);
        printf("perplexity     %.4f\nbits per byte  %.5f\n", ppl, bits);
        if (w->a.against)
            printf("against %s\n  perplexity   %.4f\n  KL           %.3g mean, %.3g at most\n"
                   "  same best    %.2f%%\n",
                   fg_numerics_name(w->a.modes[1]), exp(w->sides[1].nats / n), w->kl / n,
                   w->kl_most, 100 * (double)w->same_best / n);
        return;
    }
    all =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:f, s:f}", "model", w->a.model, "file",
                  w->a.file, "numerics", fg_numerics_name(w->a.modes[0]), "context", (int)w->a.ctx,
                  "tokens", (json_int_t)w->n_tokens, "predicted", (json_int_t)w->n_scored, "bytes",
                  (json_int_t)w->bytes, "perplexity", ppl, "bits_per_byte", bits);
    if (w->a.against)
        json_object_update_new(
            all, json_pack("{s:s, s:f, s:f, s:f, s:f}", "against", fg_numerics_name(w->a.modes[1]),
                           "against_perplexity", exp(w->sides[1].nats / n), "kl_mean", w->kl / n,
                           "kl_max", w->kl_most, "same_best", (double)w->same_best / n));
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(all);
}

int eval_perplexity(int argc, char **argv)
{
    struct work w = {.a = {.ctx = 512}};
    struct fg_err err = {0};
    int rc = parse(argc, argv, &w.a);
    if (rc)
        return rc;
    rc = open_all(&w, &err);
    for (size_t at = 0; rc == 0 && at < w.n_tokens; at += w.a.ctx)
        rc = run_window(&w, at, at + w.a.ctx < w.n_tokens ? at + w.a.ctx : w.n_tokens, &err);
    if (rc == 0 && w.n_scored)
        fputc('\n', stderr);
    if (rc == 0)
        print(&w);
    else
        eval_fail("%s", err.text);
    for (uint32_t i = 0; i < w.n_sides; i++) {
        fg_engine_destroy(w.sides[i].engine);
        free(w.sides[i].logits);
    }
    fg_device_close(w.device);
    fg_vocabulary_finish(&w.vocabulary);
    fg_gguf_close(w.gguf);
    free(w.tokens);
    return rc ? EVAL_ERROR : EVAL_OK;
}
