/* The plan against the engine: what was foreseen is what fg_engine_info() counts after a create. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gpu/device.h"
#include "model/plan.h"
#include "pair.h"

#include <string.h>

static void check(struct fg_device *d, const struct tiny_model *m,
                  const struct fg_engine_options *opt)
{
    struct fg_engine_info info;
    struct gguf_writer *w = tiny_model_write(m);
    struct fg_engine *e = NULL;
    struct fg_hparams hp;
    struct fg_plan p;
    struct fg_gguf *g;
    struct fg_err err;

    if (gguf_writer_open(w, &g, &err) || fg_hparams_init(&hp, g, &err) ||
        fg_plan_init(&p, opt, &hp, g, fg_device_info(d), &err) ||
        fg_engine_create(opt, g, d, &e, &err))
        fail_msg("%s", err.text);
    gguf_writer_destroy(w);
    fg_engine_info(e, &info);
    assert_true(fg_plan_fits(&p));
    assert_int_equal(p.opt.n_ctx, info.n_ctx);
    assert_int_equal(p.opt.n_seq, info.n_seq);
    assert_int_equal(p.opt.n_pages, info.n_pages);
    assert_int_equal(p.state_bytes ? p.opt.n_states : 0, info.n_states);
    assert_int_equal(p.opt.n_batch, info.n_batch);
    assert_int_equal(p.page_bytes, info.page_bytes);
    assert_int_equal(p.state_bytes, info.state_bytes);
    assert_int_equal(p.weight_bytes, info.weight_bytes);
    assert_int_equal(p.kv_bytes, info.kv_bytes);
    assert_int_equal(p.seq_bytes + p.saved_bytes, info.seq_bytes);
    assert_int_equal(p.scratch_bytes + p.scratch_host_bytes, info.scratch_bytes);
    fg_engine_destroy(e);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
}

static void test_both_families(void **state)
{
    struct tiny_model m = tiny_minimax();
    struct fg_engine_options opt = pair_options(FG_KV_F32);

    check(*state, &m, &opt);
    m.matrix = FG_Q8_0;
    opt = (struct fg_engine_options){.n_seq = 3, .n_ctx = 1000, .n_states = 7};
    check(*state, &m, &opt);
    m = tiny_llama();
    check(*state, &m, &opt);
    opt = (struct fg_engine_options){.n_seq = 1}; /* all by default */
    check(*state, &m, &opt);
}

/* A model of lightning layers only has no pages, but what steps need. */
static void test_without_pages(void **state)
{
    static const uint8_t recurrent[] = {1, 1, 1, 1};
    struct tiny_model m = tiny_minimax();
    struct fg_engine_options opt = pair_options(FG_KV_F16);

    m.recurrent = recurrent;
    check(*state, &m, &opt);
}

/* Small bindings cut matrices, sequences and steps; a budget cuts states and pages. */
static void test_cuts(void **state)
{
    struct fg_device_info *info = (struct fg_device_info *)fg_device_info(*state);
    uint64_t range = info->max_storage_range;
    struct tiny_model m = tiny_minimax();
    struct fg_engine_options opt = {.n_seq = 16, .n_ctx = 256, .n_states = 50, .n_batch = 4096};

    info->max_storage_range = 128 << 10; /* rows of a chunk for 4 sequences, 16 KiB states for 8 */
    check(*state, &m, &opt);
    info->max_storage_range = range;
    opt.cache_bytes = 2 << 20;
    check(*state, &m, &opt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_families),
        cmocka_unit_test(test_without_pages),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, pair_open_device, pair_close_device);
}
