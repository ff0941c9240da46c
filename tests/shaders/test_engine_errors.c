/* What the engine refuses, with the sequences unharmed afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gpu/device.h"
#include "lab.h"
#include "pair.h"

#include <stdlib.h>
#include <string.h>

static void refused(int rc, int code, const struct fg_err *err, const char *part)
{
    assert_int_equal(rc, code);
    assert_int_equal(err->code, code);
    if (!strstr(err->text, part))
        fail_msg("\"%s\" does not name \"%s\"", err->text, part);
}

struct fixture {
    struct pair p;
    int32_t *tokens;
    float *want;
    struct run r;
};

enum { TOKENS = 140 };

/* minimax, a context of 200 tokens, 2 sequences, 4 pages. */
static void fixture_init(struct fixture *f, struct fg_device *d)
{
    struct tiny_model m = tiny_minimax();
    struct fg_engine_options opt = {
        .kv_type = FG_KV_F16, .n_ctx = 200, .n_seq = 2, .n_pages = 4, .n_states = 1, .n_batch = 64};

    pair_init(&f->p, d, tiny_model_write(&m), &opt);
    f->tokens = pair_tokens(&f->p, 256, 1);
    f->want = pair_reference(&f->p, f->tokens, TOKENS);
    run_init(&f->r, &f->p, "after refusals", f->tokens, f->want, TOKENS);
}

/* The sequence still gives the right logits to its end. */
static void fixture_finish(struct fixture *f)
{
    run_until(&f->r, TOKENS, 50);
    run_finish(&f->r);
    assert_int_equal(fg_engine_free_pages(f->p.engine), f->p.info.n_pages);
    free(f->tokens);
    free(f->want);
    pair_finish(&f->p);
}

static int step(struct fixture *f, const int32_t *tokens, uint32_t n, uint32_t n_logits,
                float *logits, struct fg_err *err)
{
    struct fg_step_span piece = {f->r.seq, tokens, n, n_logits, logits, 0, NULL};

    return fg_engine_step(f->p.engine, &piece, 1, err);
}

static void test_steps(void **state)
{
    struct fixture f;
    struct fg_err err;
    int32_t bad[3] = {1, 96, 2};
    float logits[3 * 96];

    fixture_init(&f, *state);
    run_until(&f.r, 20, 20);
    refused(step(&f, bad, 3, 1, logits, &err), FG_EINVAL, &err, "token 96");
    bad[1] = -1;
    refused(step(&f, bad, 3, 1, logits, &err), FG_EINVAL, &err, "token -1");
    refused(step(&f, f.tokens, 0, 0, NULL, &err), FG_EINVAL, &err, "0 tokens");
    refused(step(&f, f.tokens, 2, 3, logits, &err), FG_EINVAL, &err, "3 logits");
    refused(step(&f, f.tokens, 2, 1, NULL, &err), FG_EINVAL, &err, "1 logits");
    refused(step(&f, f.tokens, 65, 0, NULL, &err), FG_EINVAL, &err, "65 tokens");

    struct fg_step_span twice[] = {{f.r.seq, f.tokens, 1, 0, NULL, 0, NULL},
                                   {f.r.seq, f.tokens, 1, 0, NULL, 0, NULL}};
    refused(fg_engine_step(f.p.engine, twice, 2, &err), FG_EINVAL, &err, "one sequence");
    refused(fg_engine_step(f.p.engine, twice, 0, &err), FG_EINVAL, &err, "0 pieces");
    refused(fg_engine_step(f.p.engine, twice, 3, &err), FG_EINVAL, &err, "3 pieces");
    assert_int_equal(fg_seq_length(f.r.seq), 20);
    /* Without a buffer for the cause. */
    assert_int_equal(step(&f, bad, 3, 1, logits, NULL), FG_EINVAL);
    fixture_finish(&f);
}

/* Context, sequences and pages run out. */
static void test_exhaustion(void **state)
{
    struct fixture f;
    struct fg_seq *other, *third;
    struct fg_err err;

    fixture_init(&f, *state);
    run_until(&f.r, 30, 30);
    assert_int_equal(fg_seq_create(f.p.engine, &other, &err), 0);
    refused(fg_seq_create(f.p.engine, &third, &err), FG_EBUSY, &err, "all 2 sequences");
    assert_null(third);

    for (uint32_t at = 0; at < 192; at += 64) {
        struct fg_step_span piece = {other, f.tokens + at, 64, 0, NULL, 0, NULL};

        assert_int_equal(fg_engine_step(f.p.engine, &piece, 1, &err), 0);
    }
    assert_int_equal(fg_engine_free_pages(f.p.engine), 0);
    /* 30 of our page's 64 are used; a second page there is not. */
    refused(step(&f, f.tokens, 40, 0, NULL, &err), FG_EBUSY, &err, "no free KV page");
    assert_int_equal(fg_seq_length(f.r.seq), 30);
    run_until(&f.r, 64, 34);
    struct fg_step_span past = {other, f.tokens, 9, 0, NULL, 0, NULL};
    refused(fg_engine_step(f.p.engine, &past, 1, &err), FG_ETOOLONG, &err, "201 tokens");
    refused(fg_seq_restore_page(other, f.tokens, &err), FG_ETOOLONG, &err, "256 tokens");
    refused(fg_seq_share_page(other, fg_seq_page(f.r.seq, 0), &err), FG_ETOOLONG, &err, "256");
    assert_int_equal(fg_seq_length(other), 192);
    fg_seq_destroy(other);
    fixture_finish(&f);
}

/* A step of two of which one does not fit fails whole. */
static void test_all_or_nothing(void **state)
{
    struct fixture f;
    struct fg_seq *other;
    struct fg_err err;

    fixture_init(&f, *state);
    run_until(&f.r, 64, 64);
    assert_int_equal(fg_seq_create(f.p.engine, &other, &err), 0);
    for (uint32_t at = 0; at < 192; at += 64) {
        struct fg_step_span piece = {other, f.tokens + at, 64, 0, NULL, 0, NULL};

        assert_int_equal(fg_engine_step(f.p.engine, &piece, 1, &err), 0);
    }
    struct fg_step_span both[] = {{f.r.seq, f.tokens + 64, 1, 0, NULL, 0, NULL},
                                  {other, f.tokens, 9, 0, NULL, 0, NULL}};
    assert_int_not_equal(fg_engine_step(f.p.engine, both, 2, &err), 0);
    assert_int_equal(fg_seq_length(f.r.seq), 64);
    assert_int_equal(fg_seq_length(other), 192);
    fg_seq_destroy(other);
    fixture_finish(&f);
}

/* Pages and states out of order, or where there is no boundary. */
static void test_restore_order(void **state)
{
    struct fixture f;
    struct fg_seq *s;
    struct fg_err err;

    fixture_init(&f, *state);
    char *page = lab_alloc(f.p.info.page_bytes, 1), *saved = lab_alloc(f.p.info.state_bytes, 1);

    refused(fg_seq_capture_state(f.r.seq, saved, &err), FG_EINVAL, &err, "no state yet");
    refused(fg_seq_save_state(f.r.seq, 0, &err), FG_EINVAL, &err, "no state yet");
    refused(fg_seq_restore_state(f.r.seq, saved, &err), FG_EINVAL, &err, "no tokens");
    refused(fg_seq_load_state(f.r.seq, 0, &err), FG_EINVAL, &err, "no tokens");
    run_until(&f.r, 63, 63);
    refused(fg_seq_capture_page(f.r.seq, 0, page, &err), FG_EINVAL, &err, "page 0");
    refused(fg_seq_capture_state(f.r.seq, saved, &err), FG_EINVAL, &err, "63 tokens");
    refused(fg_seq_save_state(f.r.seq, 0, &err), FG_EINVAL, &err, "63 tokens");
    refused(fg_seq_restore_page(f.r.seq, page, &err), FG_EINVAL, &err, "63 tokens");
    refused(fg_seq_restore_state(f.r.seq, saved, &err), FG_EINVAL, &err, "63 tokens");
    refused(fg_seq_load_state(f.r.seq, 0, &err), FG_EINVAL, &err, "63 tokens");
    refused(fg_seq_share_page(f.r.seq, 0, &err), FG_EINVAL, &err, "63 tokens");
    run_until(&f.r, 64, 1);
    refused(fg_seq_capture_page(f.r.seq, 1, page, &err), FG_EINVAL, &err, "page 1");
    refused(fg_seq_save_state(f.r.seq, 1, &err), FG_EINVAL, &err, "1 of 1");
    assert_int_equal(fg_seq_capture_page(f.r.seq, 0, page, &err), 0);
    assert_int_equal(fg_seq_capture_state(f.r.seq, saved, &err), 0);

    /* A page without its state: no step, no state to give away. */
    assert_int_equal(fg_seq_create(f.p.engine, &s, &err), 0);
    refused(fg_seq_share_page(s, 4, &err), FG_EINVAL, &err, "page 4");
    refused(fg_seq_share_page(s, fg_seq_page(f.r.seq, 0) ^ 1, &err), FG_EINVAL, &err, "not in use");
    assert_int_equal(fg_seq_restore_page(s, page, &err), 0);
    struct fg_step_span piece = {s, f.tokens + 64, 1, 0, NULL, 0, NULL};
    refused(fg_engine_step(f.p.engine, &piece, 1, &err), FG_EINVAL, &err, "no state");
    refused(fg_seq_capture_state(s, saved, &err), FG_EINVAL, &err, "no state yet");
    refused(fg_seq_load_state(s, 7, &err), FG_EINVAL, &err, "7 of 1");
    assert_int_equal(fg_seq_restore_state(s, saved, &err), 0);
    assert_int_equal(fg_engine_step(f.p.engine, &piece, 1, &err), 0);
    fg_seq_destroy(s);
    free(page);
    free(saved);
    fixture_finish(&f);
}

static void create_refused(struct fg_device *d, const struct tiny_model *m,
                           const struct fg_engine_options *opt, int code, const char *part)
{
    struct gguf_writer *w = tiny_model_write(m);
    struct fg_engine *e = (struct fg_engine *)w;
    struct fg_gguf *g;
    struct fg_err err;

    assert_int_equal(gguf_writer_open(w, &g, &err), 0);
    refused(fg_engine_create(opt, g, d, &e, &err), code, &err, part);
    assert_null(e);
    fg_gguf_close(g);
    gguf_writer_destroy(w);
}

static void test_create(void **state)
{
    struct tiny_model m = tiny_llama();
    struct fg_engine_options opt = pair_options(FG_KV_F16);
    struct fg_device_info *info = (struct fg_device_info *)fg_device_info(*state);
    uint64_t range = info->max_storage_range;

    opt.n_seq = 0;
    create_refused(*state, &m, &opt, FG_EINVAL, "0 sequences");
    opt.n_seq = 65;
    create_refused(*state, &m, &opt, FG_EINVAL, "65 sequences");
    opt = pair_options(FG_KV_F16);
    opt.n_batch = 65;
    create_refused(*state, &m, &opt, FG_EINVAL, "batch of 65");
    opt.n_batch = 4160;
    create_refused(*state, &m, &opt, FG_EINVAL, "batch of 4160");
    opt = pair_options(FG_KV_F16);
    opt.n_pages = 9; /* 640 tokens need 10 */
    create_refused(*state, &m, &opt, FG_EINVAL, "9 KV pages");
    m.head_dim = 20, m.rope_dim = 20;
    create_refused(*state, &m, &opt, FG_EUNSUPPORTED, "head dimension 20");
    /* A device of small bindings: its pages hold less than what is asked for. */
    m = tiny_llama();
    opt = pair_options(FG_KV_F32); /* 16 KiB a page */
    info->max_storage_range = 128 << 10;
    create_refused(*state, &m, &opt, FG_ENOMEM, "largest binding of the device holds 8");
    info->max_storage_range = range;
    fg_engine_destroy(NULL);
    fg_seq_destroy(NULL);
}

/* What create() settles where nothing was asked for. */
static void test_defaults(void **state)
{
    struct tiny_model m = tiny_llama();
    struct fg_engine_options opt = {.kv_type = FG_KV_F32, .n_seq = 3, .n_batch = 64, .n_ctx = 100};
    struct pair p;

    pair_init(&p, *state, tiny_model_write(&m), &opt);
    assert_int_equal(p.info.n_ctx, 100);
    assert_int_equal(p.info.n_pages, 3 * 2);
    assert_int_equal(p.info.n_states, 0);
    assert_int_equal(p.info.state_bytes, 0);
    assert_int_equal(p.info.page_bytes, 3 * 2 * 2 * 16 * 64 * 4); /* layers, k and v, heads x 16 */
    assert_int_equal(p.info.kv_bytes, 6 * p.info.page_bytes);
    assert_int_equal(fg_engine_free_pages(p.engine), 6);
    pair_finish(&p);
}

/* A budget of device memory: saved states within half of it, pages in the rest. */
static void test_cache_bytes(void **state)
{
    struct tiny_model m = tiny_minimax();
    struct fg_engine_options opt = {.n_seq = 4, .n_batch = 64, .n_ctx = 256, .n_states = 50};
    struct pair p;
    uint64_t page, saved;

    pair_init(&p, *state, tiny_model_write(&m), &opt);
    assert_int_equal(p.info.n_pages, 16);
    page = p.info.page_bytes;
    saved = p.info.state_bytes;
    pair_finish(&p);
    opt.cache_bytes = 10 * page + 2 * saved - 1;
    pair_init(&p, *state, tiny_model_write(&m), &opt);
    assert_true(p.info.n_states > 0 && p.info.n_states * saved <= opt.cache_bytes / 2);
    assert_true(p.info.n_pages >= 4 && p.info.n_pages < 16);
    assert_true(p.info.n_pages * page + p.info.n_states * saved <= opt.cache_bytes);
    assert_true((p.info.n_pages + 1) * page + p.info.n_states * saved > opt.cache_bytes);
    pair_finish(&p);
    opt.cache_bytes = 3 * page; /* 256 tokens need 4 */
    opt.n_states = 0;
    create_refused(*state, &m, &opt, FG_ENOMEM, "memory given to the cache holds 3 (192 tokens)");
    opt.n_ctx = 0;
    opt.cache_bytes = 5 * page;
    pair_init(&p, *state, tiny_model_write(&m), &opt);
    assert_int_equal(p.info.n_ctx, 5 * 64);
    pair_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),          cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_all_or_nothing), cmocka_unit_test(test_restore_order),
        cmocka_unit_test(test_create),         cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_cache_bytes),
    };

    return cmocka_run_group_tests(tests, pair_open_device, pair_close_device);
}
