/* What a cache does to sequences: pages and states captured to host memory and restored, shared and
 * saved on the device, at random boundaries. The logits that follow are those of a sequence that
 * was computed from its first token, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/engine_state.h"

#include "base/block_tokens.h"
#include "lab.h"
#include "pair.h"

#include <stdlib.h>
#include <string.h>

enum { TOKENS = 270, BOUNDARIES = TOKENS / FG_BLOCK_TOKENS };

/* Everything that a store would hold of one sequence. */
struct stored {
    void *pages[BOUNDARIES];
    void *states[BOUNDARIES]; /* at the end of that page */
};

static void ok(int rc, const struct fg_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

/* Captures after every chunk. */
static void store(struct run *r, struct stored *s)
{
    struct fg_err err;

    for (uint32_t b = 0; b < BOUNDARIES; b++) {
        /* Some chunks in one step, some in several. */
        run_until(r, (b + 1) * FG_BLOCK_TOKENS, b % 2 ? 64 : 29);
        s->pages[b] = lab_alloc(r->p->info.page_bytes, 1);
        s->states[b] = lab_alloc(r->p->info.state_bytes, 1);
        ok(fg_seq_capture_page(r->seq, b, s->pages[b], &err), &err);
        ok(fg_seq_capture_state(r->seq, s->states[b], &err), &err);
    }
    run_until(r, TOKENS, 64);
}

static void stored_finish(struct stored *s)
{
    for (int b = 0; b < BOUNDARIES; b++) {
        free(s->pages[b]);
        free(s->states[b]);
    }
}

/* A new sequence from n stored chunks. */
static void restore(struct run *r, const struct stored *s, uint32_t n)
{
    struct fg_err err;

    for (uint32_t b = 0; b < n; b++)
        ok(fg_seq_restore_page(r->seq, s->pages[b], &err), &err);
    ok(fg_seq_restore_state(r->seq, s->states[n - 1], &err), &err);
    assert_int_equal(fg_seq_length(r->seq), n * FG_BLOCK_TOKENS);
}

/* What is captured of a restored or recomputed sequence are the same bytes. */
static void check_captures(struct run *r, const struct stored *s)
{
    size_t page = r->p->info.page_bytes, state = r->p->info.state_bytes;
    uint32_t n = fg_seq_length(r->seq) / FG_BLOCK_TOKENS;
    void *buf = lab_alloc(page > state ? page : state, 1);
    struct fg_err err;

    for (uint32_t b = 0; b < n; b++) {
        ok(fg_seq_capture_page(r->seq, b, buf, &err), &err);
        lab_equal("a page captured again", buf, s->pages[b], page / 4);
    }
    if (fg_seq_length(r->seq) % FG_BLOCK_TOKENS == 0) {
        ok(fg_seq_capture_state(r->seq, buf, &err), &err);
        lab_equal("a state captured again", buf, s->states[n - 1], state / 4);
    }
    free(buf);
}

/* The pages of `from` shared, and the state through a slot; from's own state lies further on, so
 * another sequence saves it on its way. */
static void share(struct run *to, struct run *from, uint32_t n, uint32_t slot)
{
    struct fg_err err;

    for (uint32_t b = 0; b < n; b++)
        ok(fg_seq_share_page(to->seq, fg_seq_page(from->seq, b), &err), &err);
    if (to->p->info.state_bytes)
        ok(fg_seq_load_state(to->seq, slot, &err), &err);
}

struct bench {
    struct pair p;
    int32_t *tokens;
    float *want;
    struct stored stored;
    const char *what;
};

static void bench_init(struct bench *b, struct fg_device *d, const struct tiny_model *m,
                       enum fg_kv_type kv, const char *what)
{
    struct fg_engine_options opt = pair_options(kv);

    memset(b, 0, sizeof *b);
    opt.n_ctx = 384;
    pair_init(&b->p, d, tiny_model_write(m), &opt);
    b->what = what;
    b->tokens = pair_tokens(&b->p, TOKENS, 5);
    b->want = pair_reference(&b->p, b->tokens, TOKENS);
}

static void bench_finish(struct bench *b)
{
    stored_finish(&b->stored);
    assert_int_equal(fg_engine_free_pages(b->p.engine), b->p.info.n_pages);
    free(b->tokens);
    free(b->want);
    pair_finish(&b->p);
}

/* Through host memory: each boundary, then in another engine, as after a restart. */
static void check_host(struct bench *b, struct fg_device *d, const struct tiny_model *m,
                       enum fg_kv_type kv)
{
    uint64_t seed = m->seed;
    struct run r;
    struct pair again;
    struct fg_engine_options opt = pair_options(kv);

    run_init(&r, &b->p, b->what, b->tokens, b->want, TOKENS);
    store(&r, &b->stored);
    run_finish(&r);
    for (uint32_t n = 1; n <= BOUNDARIES; n++) {
        run_init(&r, &b->p, b->what, b->tokens, b->want, TOKENS);
        restore(&r, &b->stored, n);
        check_captures(&r, &b->stored);
        while (run_left(&r) > 0)
            run_step(&r, 1 + lab_below(&seed, run_left(&r) < 90 ? run_left(&r) : 90));
        check_captures(&r, &b->stored);
        run_finish(&r);
    }
    pair_init(&again, d, tiny_model_write(m), &opt);
    assert_memory_equal(again.info.numerics_id, b->p.info.numerics_id, 16);
    run_init(&r, &again, "after a restart", b->tokens, b->want, TOKENS);
    restore(&r, &b->stored, 3);
    run_until(&r, TOKENS, 64);
    run_finish(&r);
    pair_finish(&again);
}

/* On the device: a prompt's pages under three sequences that go on at once. */
static void check_shared(struct bench *b)
{
    struct run runs[4];
    struct fg_err err;
    uint64_t seed = 8;
    uint32_t pages_before;

    for (uint32_t n = 1; n < BOUNDARIES; n += 2) {
        bool states = b->p.info.state_bytes > 0;

        for (int i = 0; i < 4; i++)
            run_init(&runs[i], &b->p, b->what, b->tokens, b->want, TOKENS);
        run_until(&runs[0], n * FG_BLOCK_TOKENS, 64);
        if (states)
            ok(fg_seq_save_state(runs[0].seq, n % 3, &err), &err);
        run_until(&runs[0], n * FG_BLOCK_TOKENS + 30, 30);
        pages_before = fg_engine_free_pages(b->p.engine);
        for (int i = 1; i < 4; i++)
            share(&runs[i], &runs[0], n, n % 3);
        assert_int_equal(fg_engine_free_pages(b->p.engine), pages_before);
        /* They write their own pages behind the shared ones, in each other's company. */
        while (run_left(&runs[3]) > 0) {
            uint32_t counts[4];

            for (int i = 0; i < 4; i++) {
                uint32_t left = run_left(&runs[i]);

                counts[i] = left == 0 ? 0 : lab_below(&seed, left < 32 ? left + 1 : 32);
            }
            if (counts[3] == 0)
                counts[3] = 1;
            run_steps(runs, counts, 4);
            if (runs[0].seq && fg_seq_length(runs[0].seq) > n * FG_BLOCK_TOKENS + 60) {
                /* The others keep the pages of a sequence that is gone. */
                run_finish(&runs[0]);
                run_init(&runs[0], &b->p, b->what, b->tokens, b->want, TOKENS);
            }
        }
        for (int i = 0; i < 4; i++)
            run_finish(&runs[i]);
    }
}

static void check(struct fg_device *d, const struct tiny_model *m, enum fg_kv_type kv,
                  const char *what)
{
    struct bench b;

    bench_init(&b, d, m, kv, what);
    check_host(&b, d, m, kv);
    check_shared(&b);
    bench_finish(&b);
}

static void test_minimax(void **state)
{
    struct tiny_model m = tiny_minimax();

    m.seed = 31;
    check(*state, &m, FG_KV_F16, "minimax restored");
}

static void test_llama(void **state)
{
    struct tiny_model m = tiny_llama();

    m.seed = 32;
    check(*state, &m, FG_KV_F32, "llama restored");
}

/* Pages behind a window are stored and restored as others are. */
static void test_gemma3(void **state)
{
    struct tiny_model m = tiny_llama();

    m.family = &fg_gemma3;
    m.window = 50;
    m.seed = 34;
    check(*state, &m, FG_KV_F16, "gemma3 restored");
}

/* Of convolutions the tail is all that there is. */
static void test_lfm2(void **state)
{
    struct tiny_model m = tiny_lfm2();

    m.seed = 35;
    check(*state, &m, FG_KV_F16, "lfm2 restored");
}

static void test_qwen35(void **state)
{
    struct tiny_model m = tiny_qwen35();

    m.seed = 33;
    check(*state, &m, FG_KV_F16, "qwen35 restored");
}

static void test_lightning_only(void **state)
{
    static const uint8_t recurrent[] = {1, 1};
    struct tiny_model m = tiny_minimax();

    m.n_layer = 2;
    m.recurrent = recurrent;
    m.seed = 33;
    check(*state, &m, FG_KV_F16, "lightning only, restored");
}

/* As on a card with memory of its own, which the host cannot write to. */
static void test_memory_of_its_own(void **state)
{
    struct fg_device_info *info = (struct fg_device_info *)fg_device_info(*state);
    struct fg_device_info was = *info;
    struct tiny_model m = tiny_minimax();
    struct bench b;

    info->unified = info->host_import = false;
    m.seed = 34;
    for (int small = 0; small < 2; small++) { /* or in pieces that end in the midst of a layer */
        bench_init(&b, *state, &m, FG_KV_F16, "restored through staging buffers");
        struct fg_engine *e = b.p.engine;
        assert_null(fg_buffer_map(e->memory.pieces[0].buffer));
        if (small)
            fg_transfers_limit(e->transfers, e->memory.largest_page / 2 + 16);
        check_host(&b, *state, &m, FG_KV_F16);
        check_shared(&b);
        bench_finish(&b);
    }
    *info = was;
}

/* A page kept by hand outlives its sequence; the last reference frees it. */
static void test_page_references(void **state)
{
    struct tiny_model m = tiny_llama();
    struct fg_engine_options opt = pair_options(FG_KV_F16);
    struct fg_err err;
    struct pair p;
    struct run r;
    uint32_t page;

    pair_init(&p, *state, tiny_model_write(&m), &opt);
    int32_t *tokens = pair_tokens(&p, 100, 1);
    float *want = pair_reference(&p, tokens, 100);

    run_init(&r, &p, "first", tokens, want, 100);
    run_until(&r, 100, 50);
    assert_int_equal(fg_engine_free_pages(p.engine), p.info.n_pages - 2);
    page = fg_seq_page(r.seq, 0);
    assert_in_range(page, 0, p.info.n_pages - 1);
    fg_page_ref(p.engine, page);
    run_finish(&r);
    assert_int_equal(fg_engine_free_pages(p.engine), p.info.n_pages - 1);
    run_init(&r, &p, "second", tokens, want, 100);
    ok(fg_seq_share_page(r.seq, page, &err), &err);
    fg_page_unref(p.engine, page);
    run_until(&r, 100, 50);
    assert_int_equal(fg_seq_page(r.seq, 0), page);
    run_finish(&r);
    assert_int_equal(fg_engine_free_pages(p.engine), p.info.n_pages);
    free(tokens);
    free(want);
    pair_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimax),
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_qwen35),
        cmocka_unit_test(test_gemma3),
        cmocka_unit_test(test_lfm2),
        cmocka_unit_test(test_lightning_only),
        cmocka_unit_test(test_memory_of_its_own),
        cmocka_unit_test(test_page_references),
    };

    return cmocka_run_group_tests(tests, pair_open_device, pair_close_device);
}
