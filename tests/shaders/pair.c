#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "gpu/device.h"
#include "lab.h"

#include <stdlib.h>
#include <string.h>

static void check(int rc, const struct fg_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

int pair_open_device(void **state)
{
    struct fg_device *d;
    struct fg_err err;

    check(fg_device_open(getenv("FG_TEST_DEVICE"), NULL, &d, &err), &err);
    print_message("device: %s, subgroups of %u\n", fg_device_info(d)->name,
                  fg_device_info(d)->subgroup_size);
    *state = d;
    return 0;
}

int pair_close_device(void **state)
{
    fg_device_close(*state);
    return 0;
}

struct fg_engine_options pair_options(enum fg_kv_type kv)
{
    return (struct fg_engine_options){
        .kv_type = kv, .n_ctx = 640, .n_seq = 4, .n_states = 3, .n_batch = 128};
}

static void open_both(struct pair *p, struct fg_device *d, const struct fg_engine_options *opt)
{
    struct fg_err err;

    check(fg_engine_create(opt, p->g, d, &p->engine, &err), &err);
    check(fg_ref_model_create(p->g, opt->family, opt->kv_type, opt->numerics == FG_NUMERICS_INT8,
                              &p->ref, &err),
          &err);
    fg_engine_info(p->engine, &p->info);
    p->vocab = p->info.hp->n_vocab;
    assert_int_equal(p->info.canonical, fg_numerics_portable(opt->numerics));
}

void pair_init(struct pair *p, struct fg_device *d, struct gguf_writer *w,
               const struct fg_engine_options *opt)
{
    struct fg_err err;

    memset(p, 0, sizeof *p);
    check(gguf_writer_open(w, &p->g, &err), &err);
    gguf_writer_destroy(w);
    open_both(p, d, opt);
}

void pair_init_file(struct pair *p, struct fg_device *d, const char *name,
                    const struct fg_engine_options *opt)
{
    struct fg_err err;

    memset(p, 0, sizeof *p);
    check(fg_gguf_open(name, &p->g, &err), &err);
    open_both(p, d, opt);
}

void pair_finish(struct pair *p)
{
    fg_engine_destroy(p->engine);
    fg_ref_model_destroy(p->ref);
    fg_gguf_close(p->g);
}

int32_t *pair_tokens(const struct pair *p, uint32_t n, uint64_t seed)
{
    int32_t *tokens = lab_alloc(n, sizeof *tokens);

    for (uint32_t i = 0; i < n; i++)
        tokens[i] = (int32_t)lab_below(&seed, p->vocab);
    return tokens;
}

float *pair_reference(const struct pair *p, const int32_t *tokens, uint32_t n)
{
    float *logits = lab_alloc((size_t)n * p->vocab, sizeof *logits);
    struct fg_err err;

    fg_ref_model_reset(p->ref);
    check(fg_ref_model_feed(p->ref, tokens, n, logits, n, &err), &err);
    return logits;
}

void run_init(struct run *r, const struct pair *p, const char *what, const int32_t *tokens,
              const float *want, uint32_t n)
{
    struct fg_err err;

    *r = (struct run){.p = p, .what = what, .tokens = tokens, .want = want, .n = n};
    check(fg_seq_create(p->engine, &r->seq, &err), &err);
    r->got = lab_alloc((size_t)p->info.n_batch * p->vocab, sizeof *r->got);
}

void run_finish(struct run *r)
{
    fg_seq_destroy(r->seq);
    free(r->got);
}

uint32_t run_left(const struct run *r)
{
    return r->n - fg_seq_length(r->seq);
}

void run_steps(struct run *runs, const uint32_t *counts, uint32_t n_runs)
{
    struct fg_step_span pieces[64] = {{0}};
    struct run *of[64] = {NULL};
    uint32_t n = 0;
    struct fg_err err;
    char what[160];

    for (uint32_t i = 0; i < n_runs; i++) {
        struct run *r = &runs[i];

        if (counts[i] == 0)
            continue;
        assert_true(counts[i] <= run_left(r));
        pieces[n] = (struct fg_step_span){
            r->seq, r->tokens + fg_seq_length(r->seq), counts[i], counts[i], r->got, 0, NULL};
        memset(r->got, 0xff, (size_t)counts[i] * r->p->vocab * sizeof *r->got);
        of[n++] = r;
    }
    check(fg_engine_step(runs[0].p->engine, pieces, n, &err), &err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = fg_seq_length(of[i]->seq) - pieces[i].n;

        snprintf(what, sizeof what, "%s: logits of %u tokens at %u", of[i]->what, pieces[i].n, at);
        lab_equal(what, of[i]->got, of[i]->want + (size_t)at * of[i]->p->vocab,
                  (size_t)pieces[i].n * of[i]->p->vocab);
    }
}

void run_step(struct run *r, uint32_t n)
{
    run_steps(r, &n, 1);
}

void run_until(struct run *r, uint32_t end, uint32_t split)
{
    while (fg_seq_length(r->seq) < end) {
        uint32_t left = end - fg_seq_length(r->seq);

        run_step(r, left < split ? left : split);
    }
}
