#include "rates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "gpu/device.h"

enum { MAX_LIST = 32, MAX_TOKENS = 1 << 24 };

static int parse_list(const char *option, const char *list, uint32_t out[MAX_LIST], uint32_t *n,
                      struct fg_err *err)
{
    const char *at = list;
    *n = 0;
    do {
        char *end;
        unsigned long v = strtoul(at, &end, 10);
        if (*at < '0' || *at > '9' || (*end && *end != ',') || v > MAX_TOKENS || *n == MAX_LIST)
            return fg_fail(err, FG_EINVAL,
                           "%s %s: up to %d numbers of tokens, with commas, are wanted", option,
                           list, MAX_LIST);
        out[(*n)++] = (uint32_t)v;
        at = *end ? end + 1 : NULL;
    } while (at);
    return 0;
}

static int add_test(struct rates *r, uint32_t n_prompt, uint32_t n_gen, uint32_t n_depth,
                    struct fg_err *err)
{
    struct rates_test *t = &r->tests[r->n_tests];
    if (n_prompt + n_gen == 0)
        return 0;
    if (r->n_tests == RATES_MAX_TESTS)
        return fg_fail(err, FG_EINVAL, "more than %d tests", RATES_MAX_TESTS);
    *t = (struct rates_test){.n_prompt = n_prompt, .n_gen = n_gen, .n_depth = n_depth};
    t->samples = calloc(r->opt.reps, sizeof *t->samples);
    if (!t->samples)
        return fg_fail(err, FG_ENOMEM, "out of memory for the tests");
    r->n_tests++;
    return 0;
}

int rates_init(struct rates *r, const struct rates_options *opt, struct fg_err *err)
{
    uint32_t prompts[MAX_LIST], gens[MAX_LIST], depths[MAX_LIST], n_prompts, n_gens, n_depths;
    int rc;

    *r = (struct rates){.opt = *opt};
    rc = parse_list("-p", opt->prompts, prompts, &n_prompts, err);
    if (rc == 0)
        rc = parse_list("-n", opt->gens, gens, &n_gens, err);
    if (rc == 0)
        rc = parse_list("-d", opt->depths, depths, &n_depths, err);
    for (uint32_t d = 0; rc == 0 && d < n_depths; d++) {
        for (uint32_t i = 0; rc == 0 && i < n_prompts; i++)
            rc = add_test(r, prompts[i], 0, depths[d], err);
        for (uint32_t i = 0; rc == 0 && i < n_gens; i++)
            rc = add_test(r, 0, gens[i], depths[d], err);
    }
    if (rc == 0 && r->n_tests == 0)
        rc = fg_fail(err, FG_EINVAL, "nothing to measure: -p and -n are both 0");
    return rc;
}

void rates_finish(struct rates *r)
{
    for (uint32_t i = 0; i < r->n_tests; i++)
        free(r->tests[i].samples);
    r->n_tests = 0;
}

const char *rates_test_name(const struct rates_test *t, char buf[64])
{
    int n = snprintf(buf, 64, "%s %u", t->n_prompt ? "prefill" : "decode", t->n_prompt + t->n_gen);
    if (t->n_depth)
        snprintf(buf + n, 64 - (size_t)n, " at %u", t->n_depth);
    return buf;
}

uint32_t rates_longest(const struct rates *r)
{
    uint32_t longest = FG_BLOCK_TOKENS;
    for (uint32_t i = 0; i < r->n_tests; i++) {
        const struct rates_test *t = &r->tests[i];
        uint32_t n = t->n_depth + t->n_prompt + t->n_gen;
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* The loaded model, and the chunks of a depth that it keeps. */
struct machine {
    struct fg_gguf *gguf;
    struct fg_device *dev;
    struct fg_engine *engine;
    struct fg_engine_info info;
    char *pipeline_dir;     /* or NULL */
    int32_t *tokens;        /* [context] */
    float *logits;          /* [n_vocab] */
    uint32_t *kept, n_kept; /* pages, one reference to each; their state is saved in slot 0 */
};

/* Where fulgurd keeps what belongs to devices: DIR/pipelines. */
static int make_pipeline_dir(const char *dir, char **out, struct fg_err *err)
{
    if (asprintf(out, "%s/pipelines", dir) < 0) {
        *out = NULL;
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    if (mkdir(*out, 0700) && errno != EEXIST)
        return fg_fail(err, FG_EIO, "--cache-dir: %s cannot be made: %s", *out, strerror(errno));
    return 0;
}

/* Tokens are pseudo-random, as no text is needed to measure. */
static int open_machine(struct machine *m, const struct rates *r, struct fg_err *err)
{
    uint32_t n = rates_longest(r);
    struct fg_engine_options opt = {
        .kv_type = r->opt.kv, .numerics = r->opt.numerics, .n_ctx = n, .n_seq = 1, .n_states = 1};
    int rc = fg_gguf_open(r->opt.model, &m->gguf, err);
    if (rc == 0 && r->opt.cache_dir) {
        opt.tune = FG_TUNE_ONCE;
        rc = make_pipeline_dir(r->opt.cache_dir, &m->pipeline_dir, err);
    }
    if (rc == 0)
        rc = fg_device_open(r->opt.device, m->pipeline_dir, &m->dev, err);
    if (rc == 0)
        rc = fg_engine_create(&opt, m->gguf, m->dev, &m->engine, err);
    if (rc)
        return rc;
    fg_engine_info(m->engine, &m->info);
    m->tokens = calloc(n, sizeof *m->tokens);
    m->logits = malloc((size_t)m->info.hp->n_vocab * sizeof *m->logits);
    m->kept = calloc(n / FG_BLOCK_TOKENS + 1, sizeof *m->kept);
    if (!m->tokens || !m->logits || !m->kept)
        return fg_fail(err, FG_ENOMEM, "out of memory for %u tokens", n);
    for (uint32_t i = 0; i < n; i++)
        m->tokens[i] = (int32_t)(((i + 1) * 2654435761u >> 8) % m->info.hp->n_vocab);
    return 0;
}

static void drop_kept(struct machine *m)
{
    while (m->n_kept)
        fg_page_unref(m->engine, m->kept[--m->n_kept]);
}

static void close_machine(struct machine *m)
{
    drop_kept(m);
    free(m->kept);
    free(m->tokens);
    free(m->logits);
    fg_engine_destroy(m->engine);
    fg_device_close(m->dev);
    fg_gguf_close(m->gguf);
    free(m->pipeline_dir);
}

/* Steps to a length of `end`, a_step tokens at a time. A prefill ends with the logits of its last
 * token; a decode step with its own. */
static int advance(struct machine *m, struct fg_seq *seq, uint32_t end, uint32_t a_step,
                   struct fg_err *err)
{
    int rc = 0;
    for (uint32_t at = fg_seq_length(seq); rc == 0 && at < end; at = fg_seq_length(seq)) {
        uint32_t n = end - at < a_step ? end - at : a_step;
        struct fg_step_span piece = {
            seq, m->tokens + at, n, a_step == 1 || at + n == end, m->logits, 0, NULL};
        rc = fg_engine_step(m->engine, &piece, 1, err);
    }
    return rc;
}

/* A sequence of the kept chunks. */
static int begin(struct machine *m, struct fg_seq **seq, struct fg_err *err)
{
    int rc = fg_seq_create(m->engine, seq, err);
    for (uint32_t i = 0; rc == 0 && i < m->n_kept; i++)
        rc = fg_seq_share_page(*seq, m->kept[i], err);
    if (rc == 0 && m->n_kept && m->info.state_bytes)
        rc = fg_seq_load_state(*seq, 0, err);
    return rc;
}

/* Keeps the whole chunks of `depth`, going on from those that are kept where it can. */
static int keep(struct machine *m, uint32_t depth, struct fg_err *err)
{
    uint32_t want = depth / FG_BLOCK_TOKENS;
    struct fg_seq *seq = NULL;
    int rc;
    if (want < m->n_kept)
        drop_kept(m);
    if (want == m->n_kept)
        return 0;
    fprintf(stderr, "fulgur-bench: computing the %u tokens before the tests\n", depth);
    rc = begin(m, &seq, err);
    if (rc == 0)
        rc = advance(m, seq, want * FG_BLOCK_TOKENS, m->info.n_batch, err);
    if (rc == 0 && m->info.state_bytes)
        rc = fg_seq_save_state(seq, 0, err);
    for (; rc == 0 && m->n_kept < want; m->n_kept++) {
        m->kept[m->n_kept] = fg_seq_page(seq, m->n_kept);
        fg_page_ref(m->engine, m->kept[m->n_kept]);
    }
    fg_seq_destroy(seq);
    return rc;
}

static int run_once(struct machine *m, const struct rates_test *t, double *took, struct fg_err *err)
{
    struct fg_seq *seq = NULL;
    int rc = begin(m, &seq, err);
    if (rc == 0)
        rc = advance(m, seq, t->n_depth, m->info.n_batch, err);
    double start = fg_clock_seconds();
    if (rc == 0)
        rc = advance(m, seq, t->n_depth + t->n_prompt + t->n_gen, t->n_prompt ? m->info.n_batch : 1,
                     err);
    *took = fg_clock_seconds() - start;
    fg_seq_destroy(seq);
    return rc;
}

static int run_test(struct machine *m, struct rates_test *t, uint32_t reps, struct fg_err *err)
{
    double took;
    int rc = keep(m, t->n_depth, err);
    if (rc == 0)
        rc = run_once(m, t, &took, err);
    for (uint32_t i = 0; rc == 0 && i < reps; i++) {
        rc = run_once(m, t, &took, err);
        t->samples[i] = (t->n_prompt + t->n_gen) / took;
    }
    if (rc == 0)
        t->ts = bench_stats(t->samples, reps);
    return rc;
}

int rates_measure(struct rates *r, struct fg_err *err)
{
    struct machine m = {0};
    char name[64];
    int rc = open_machine(&m, r, err);
    for (uint32_t i = 0; rc == 0 && i < r->n_tests; i++) {
        fprintf(stderr, "fulgur-bench: test %u of %u: %s\n", i + 1, r->n_tests,
                rates_test_name(&r->tests[i], name));
        rc = run_test(&m, &r->tests[i], r->opt.reps, err);
    }
    if (rc == 0) {
        snprintf(r->device, sizeof r->device, "%s", fg_device_info(m.dev)->name);
        snprintf(r->driver, sizeof r->driver, "%s", fg_device_info(m.dev)->driver);
    }
    close_machine(&m);
    return rc;
}
