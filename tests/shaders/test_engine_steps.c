/* Steps that nobody waits for: the next is prepared while one runs, tokens are set late, steps are
 * dropped, refused, fail; pages and states move meanwhile. The logits are those of the reference,
 * bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab.h"
#include "pair.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "base/blob.h"
#include "base/ticket.h"
#include "gpu/device.h"
#include "model/engine_state.h"

enum { TOKENS = 270 };

static atomic_int lose_wait;     /* the n-th wait from now tells that the device is lost */
static atomic_int refuse_submit; /* the n-th submission from now finds no memory */
static VkFence accepted[8];      /* since n_accepted was set to 0 */
static atomic_int n_accepted;
static atomic_bool waited[8];

VKAPI_ATTR VkResult VKAPI_CALL vkQueueSubmit(VkQueue q, uint32_t n, const VkSubmitInfo *infos,
                                             VkFence fence)
{
    void *p = dlsym(RTLD_NEXT, "vkQueueSubmit");
    PFN_vkQueueSubmit real;

    memcpy(&real, &p, sizeof real);
    if (refuse_submit && --refuse_submit == 0)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    if (n_accepted < 8) {
        waited[n_accepted] = false;
        accepted[n_accepted++] = fence;
    }
    return real(q, n, infos, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL vkWaitForFences(VkDevice d, uint32_t n, const VkFence *fences,
                                               VkBool32 all, uint64_t timeout)
{
    void *p = dlsym(RTLD_NEXT, "vkWaitForFences");
    PFN_vkWaitForFences real;

    memcpy(&real, &p, sizeof real);
    VkResult r = real(d, n, fences, all, timeout);
    for (int i = 0; r == VK_SUCCESS && n == 1 && i < n_accepted; i++)
        waited[i] = waited[i] || accepted[i] == fences[0];
    return lose_wait && --lose_wait == 0 ? VK_ERROR_DEVICE_LOST : r;
}

static void ok(int rc, const struct fg_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

static void refused(int rc, int code, const struct fg_err *err, const char *part)
{
    assert_int_equal(rc, code);
    if (!strstr(err->text, part))
        fail_msg("\"%s\" does not name \"%s\"", err->text, part);
}

struct bench {
    struct pair p;
    int32_t *tokens;
    float *want;
};

static void bench_init(struct bench *b, struct fg_device *d, const struct tiny_model *m, bool stage)
{
    struct fg_engine_options opt = pair_options(FG_KV_F16);

    opt.n_ctx = 384;
    opt.stage_transfers = stage;
    pair_init(&b->p, d, tiny_model_write(m), &opt);
    b->tokens = pair_tokens(&b->p, TOKENS, 5);
    b->want = pair_reference(&b->p, b->tokens, TOKENS);
}

static void bench_finish(struct bench *b)
{
    assert_int_equal(fg_engine_free_pages(b->p.engine), b->p.info.n_pages);
    free(b->tokens);
    free(b->want);
    pair_finish(&b->p);
}

/* A step of n of the tokens at `at`, all logits to r->got; of a single token, id 0 stands for it.
 */
static struct fg_step *prepare(struct bench *b, struct run *r, uint32_t at, uint32_t n)
{
    const int32_t zero = 0;
    struct fg_step_span piece = {r->seq, n == 1 ? &zero : b->tokens + at, n, n, r->got, 0, NULL};
    struct fg_step *s;
    struct fg_err err;

    ok(fg_step_prepare(b->p.engine, &piece, 1, &s, &err), &err);
    return s;
}

static void submit(struct bench *b, struct fg_step *s, uint32_t at, uint32_t n,
                   struct fg_ticket *ticket)
{
    struct fg_err err;

    if (n == 1)
        ok(fg_step_token(s, 0, b->tokens[at], &err), &err);
    ok(fg_step_submit(s, ticket, &err), &err);
}

static void finish(struct bench *b, struct run *r, struct fg_step *s, uint32_t n,
                   struct fg_ticket *ticket)
{
    uint32_t at = fg_seq_length(r->seq);
    struct fg_err err;

    memset(r->got, 0xff, (size_t)n * b->p.vocab * sizeof *r->got);
    ok(fg_ticket_wait(ticket, &err), &err);
    ok(fg_step_finish(s, &err), &err);
    assert_int_equal(fg_seq_length(r->seq), at + n);
    lab_equal(r->what, r->got, b->want + (size_t)at * b->p.vocab, (size_t)n * b->p.vocab);
}

/* Tokens of the step at `at`: prompts' steps, then single tokens over two chunks' ends. */
static uint32_t next_n(uint32_t at)
{
    return at == 0 ? 29 : at == 29 ? 33 : at == 140 ? 100 : 1;
}

/* Every step but the first is prepared while the one before runs. */
static void go_ahead(struct bench *b, const char *what)
{
    struct fg_ticket ticket;
    struct fg_step *now, *next = NULL;
    struct run r;

    fg_ticket_init(&ticket, NULL);
    run_init(&r, &b->p, what, b->tokens, b->want, TOKENS);
    now = prepare(b, &r, 0, next_n(0));
    for (uint32_t at = 0, n; at < TOKENS; at += n, now = next) {
        uint32_t then = at + next_n(at);

        n = next_n(at);
        submit(b, now, at, n, &ticket);
        if (then < TOKENS)
            next = prepare(b, &r, then, next_n(then));
        finish(b, &r, now, n, &ticket);
    }
    run_finish(&r);
    fg_ticket_finish(&ticket);
}

static void test_ahead(void **state)
{
    struct tiny_model models[] = {tiny_minimax(), tiny_llama(), tiny_qwen35()};
    struct bench b;

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        bench_init(&b, *state, &models[i], false);
        go_ahead(&b, "prepared ahead");
        bench_finish(&b);
    }
}

/* A prompt's step is prepared while another sequence decodes, and the other way round. */
static void test_two_sequences(void **state)
{
    struct tiny_model m = tiny_minimax();
    struct fg_ticket ticket;
    struct bench b;
    struct run r[2];

    bench_init(&b, *state, &m, false);
    fg_ticket_init(&ticket, NULL);
    run_init(&r[0], &b.p, "decodes", b.tokens, b.want, TOKENS);
    run_init(&r[1], &b.p, "prefills", b.tokens, b.want, TOKENS);
    run_until(&r[0], 100, 50);
    for (uint32_t at = 0; at < 240; at += 48) {
        uint32_t one = fg_seq_length(r[0].seq);
        struct fg_step *s = prepare(&b, &r[0], one, 1);
        submit(&b, s, one, 1, &ticket);
        struct fg_step *many = prepare(&b, &r[1], at, 48);
        finish(&b, &r[0], s, 1, &ticket);
        submit(&b, many, at, 48, &ticket);
        s = prepare(&b, &r[0], one + 1, 1);
        finish(&b, &r[1], many, 48, &ticket);
        submit(&b, s, one + 1, 1, &ticket);
        finish(&b, &r[0], s, 1, &ticket);
    }
    for (int i = 0; i < 2; i++)
        run_finish(&r[i]);
    fg_ticket_finish(&ticket);
    bench_finish(&b);
}

/* A step that is dropped leaves nothing: what is prepared in its place gives the right logits. */
static void test_drop(void **state)
{
    struct tiny_model m = tiny_minimax();
    struct fg_ticket ticket;
    struct fg_step *s, *next, *third;
    struct fg_err err;
    struct bench b;
    struct run r;

    bench_init(&b, *state, &m, false);
    fg_ticket_init(&ticket, NULL);
    run_init(&r, &b.p, "after a drop", b.tokens, b.want, TOKENS);
    run_until(&r, 60, 60);
    for (uint32_t at = 60; at < 70; at++) {
        s = prepare(&b, &r, at, 1);
        next = prepare(&b, &r, at + 1, 7);
        struct fg_step_span more = {r.seq, b.tokens, 1, 0, NULL, 0, NULL};
        refused(fg_step_prepare(b.p.engine, &more, 1, &third, &err), FG_EBUSY, &err, "2 steps");
        assert_null(third);
        /* The later one is nothing without the first. */
        refused(fg_step_submit(next, NULL, &err), FG_EINVAL, &err, "behind");
        submit(&b, s, at, 1, &ticket);
        refused(fg_step_submit(next, NULL, &err), FG_EBUSY, &err, "under way");
        refused(fg_step_submit(s, NULL, &err), FG_EINVAL, &err, "not prepared");
        refused(fg_step_token(s, 0, 1, &err), FG_EINVAL, &err, "piece 0");
        refused(fg_step_finish(next, &err), FG_EINVAL, &err, "not submitted");
        if (at % 2)
            fg_step_drop(next);
        finish(&b, &r, s, 1, &ticket);
        if (at % 2 == 0) {
            refused(fg_step_token(next, 0, 1, &err), FG_EINVAL, &err, "piece 0"); /* of 7 tokens */
            fg_step_drop(next);
        }
    }
    s = prepare(&b, &r, 70, 1);
    refused(fg_step_token(s, 1, 1, &err), FG_EINVAL, &err, "piece 1");
    refused(fg_step_token(s, 0, 96, &err), FG_EINVAL, &err, "token 96");
    fg_step_drop(s);
    fg_step_drop(NULL);
    run_until(&r, TOKENS, 64);
    run_finish(&r);
    fg_ticket_finish(&ticket);
    bench_finish(&b);
}

static struct fg_blob *blob(uint64_t bytes)
{
    struct fg_blob *b = fg_blob_create(bytes);

    assert_non_null(b);
    return b;
}

enum { CHUNKS = 3 };

/* What a cache does without waiting: a state is saved between two steps while the second is already
 * prepared, and it and the page travel to blobs while that runs. */
static void store(struct bench *b, struct fg_blob **pages, struct fg_blob **states)
{
    struct fg_ticket ticket, moved[2 * CHUNKS];
    struct fg_step *now, *next;
    struct fg_err err;
    struct run r;

    fg_ticket_init(&ticket, NULL);
    run_init(&r, &b->p, "stored on the way", b->tokens, b->want, TOKENS);
    now = prepare(b, &r, 0, 64);
    for (uint32_t i = 0; i < CHUNKS; i++, now = next) {
        submit(b, now, i * 64, 64, &ticket);
        next = prepare(b, &r, (i + 1) * 64, 64);
        refused(fg_seq_save_state(r.seq, i, &err), FG_EBUSY, &err, "under way");
        finish(b, &r, now, 64, &ticket);
        fg_ticket_init(&moved[2 * i], NULL);
        fg_ticket_init(&moved[2 * i + 1], NULL);
        pages[i] = blob(b->p.info.page_bytes);
        fg_page_read(b->p.engine, fg_seq_page(r.seq, i), pages[i], &moved[2 * i]);
        if (b->p.info.state_bytes) {
            states[i] = blob(b->p.info.state_bytes);
            ok(fg_seq_save_state(r.seq, i, &err), &err);
            fg_state_read(b->p.engine, i, states[i], &moved[2 * i + 1]);
        }
    }
    fg_step_drop(now);
    for (int i = 0; i < 2 * CHUNKS; i++) {
        ok(fg_ticket_wait(&moved[i], &err), &err);
        fg_ticket_finish(&moved[i]);
    }
    run_finish(&r);
    fg_ticket_finish(&ticket);
}

/* n chunks come back while another sequence's steps run. */
static void restore(struct bench *b, struct fg_blob **pages, struct fg_blob **states, uint32_t n)
{
    struct fg_ticket ticket, moved[CHUNKS + 1];
    struct run r, busy;
    uint32_t ids[CHUNKS];
    struct fg_err err;

    fg_ticket_init(&ticket, NULL);
    run_init(&r, &b->p, "restored", b->tokens, b->want, TOKENS);
    run_init(&busy, &b->p, "meanwhile", b->tokens, b->want, TOKENS);
    struct fg_step *s = prepare(b, &busy, 0, 100);
    submit(b, s, 0, 100, &ticket);
    for (uint32_t i = 0; i <= n; i++)
        fg_ticket_init(&moved[i], NULL);
    for (uint32_t i = 0; i < n; i++) {
        ok(fg_engine_take_page(b->p.engine, &ids[i], &err), &err);
        fg_page_write(b->p.engine, ids[i], pages[i], &moved[i]);
    }
    if (b->p.info.state_bytes)
        fg_state_write(b->p.engine, 2, states[n - 1], &moved[n]);
    for (uint32_t i = 0; i <= n; i++) {
        ok(fg_ticket_wait(&moved[i], &err), &err);
        fg_ticket_finish(&moved[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        ok(fg_seq_share_page(r.seq, ids[i], &err), &err);
        fg_page_unref(b->p.engine, ids[i]);
    }
    if (b->p.info.state_bytes)
        ok(fg_seq_load_state(r.seq, 2, &err), &err);
    finish(b, &busy, s, 100, &ticket);
    run_until(&r, TOKENS, 40);
    run_finish(&r);
    run_finish(&busy);
    fg_ticket_finish(&ticket);
}

static void test_transfers(void **state)
{
    struct tiny_model models[] = {tiny_minimax(), tiny_llama(), tiny_qwen35()};

    for (int i = 0; i < 6; i++) {
        struct fg_blob *pages[CHUNKS] = {NULL}, *states[CHUNKS] = {NULL};
        struct bench b;

        bench_init(&b, *state, &models[i / 2], i % 2);
        store(&b, pages, states);
        for (uint32_t n = 1; n <= CHUNKS; n++)
            restore(&b, pages, states, n);
        for (int j = 0; j < CHUNKS; j++) {
            fg_blob_unref(pages[j]);
            fg_blob_unref(states[j]);
        }
        bench_finish(&b);
    }
}

static void moved_wrong(struct fg_ticket *t, const char *part)
{
    struct fg_err err;

    refused(fg_ticket_wait(t, &err), FG_EINVAL, &err, part);
}

static void test_transfers_refused(void **state)
{
    struct tiny_model m = tiny_minimax();
    struct fg_blob *small = blob(16);
    struct fg_ticket t;
    struct fg_err err;
    struct bench b;
    uint32_t page;

    bench_init(&b, *state, &m, false);
    fg_ticket_init(&t, NULL);
    fg_page_read(b.p.engine, 0, small, &t);
    moved_wrong(&t, "in use");
    fg_page_write(b.p.engine, b.p.info.n_pages, small, &t);
    moved_wrong(&t, "page");
    fg_state_read(b.p.engine, b.p.info.n_states, small, &t);
    moved_wrong(&t, "saved state 3");
    fg_state_write(b.p.engine, 0, small, &t);
    moved_wrong(&t, "blob of 16");
    ok(fg_engine_take_page(b.p.engine, &page, &err), &err);
    fg_page_read(b.p.engine, page, small, &t);
    moved_wrong(&t, "blob of 16");
    fg_page_unref(b.p.engine, page);
    for (uint32_t i = 0; i < b.p.info.n_pages; i++)
        ok(fg_engine_take_page(b.p.engine, &page, &err), &err);
    refused(fg_engine_take_page(b.p.engine, &page, &err), FG_EBUSY, &err, "no free KV page");
    for (uint32_t i = 0; i < b.p.info.n_pages; i++)
        fg_page_unref(b.p.engine, i);
    fg_ticket_finish(&t);
    fg_blob_unref(small);
    bench_finish(&b);
}

/* The device is lost while a step runs and the next is prepared. */
static void test_lost(void **state)
{
    struct tiny_model m = tiny_minimax();
    struct fg_step *s, *next;
    struct fg_ticket ticket;
    struct fg_device *d;
    struct fg_err err;
    struct bench b;
    struct run r;

    (void)state;
    ok(fg_device_open(getenv("FG_TEST_DEVICE"), NULL, &d, &err), &err);
    bench_init(&b, d, &m, false);
    fg_ticket_init(&ticket, NULL);
    run_init(&r, &b.p, "lost", b.tokens, b.want, TOKENS);
    run_until(&r, 20, 20);
    s = prepare(&b, &r, 20, 1);
    lose_wait = 1;
    submit(&b, s, 20, 1, &ticket);
    next = prepare(&b, &r, 21, 1);
    refused(fg_ticket_wait(&ticket, &err), FG_EDEVICELOST, &err, "vkWaitForFences");
    refused(fg_step_finish(s, &err), FG_EDEVICELOST, &err, "vkWaitForFences");
    assert_int_equal(fg_seq_length(r.seq), 20);
    refused(fg_step_submit(next, &ticket, &err), FG_EINVAL, &err, "behind 21 tokens");
    fg_step_drop(next);
    assert_int_equal(fg_seq_length(r.seq), 20);
    run_finish(&r);
    fg_ticket_finish(&ticket);
    bench_finish(&b);
    fg_device_close(d);
}

/* A later submission of a long step is refused: what runs already is waited for before its tables
 * and pages serve again, and the sequence, whose states hold some of the tokens, goes no further.
 */
static void test_broken_off(void **state)
{
    struct tiny_model m = tiny_minimax();
    struct fg_step *s;
    struct fg_err err;
    struct bench b;
    struct run r;

    bench_init(&b, *state, &m, false);
    run_init(&r, &b.p, "broken off", b.tokens, b.want, TOKENS);
    b.p.engine->token_layer_s[0] = b.p.engine->token_layer_s[1] = 1; /* a submission a layer */
    s = prepare(&b, &r, 0, 100);
    n_accepted = 0;
    refuse_submit = 3;
    assert_int_not_equal(fg_step_submit(s, NULL, &err), 0);
    assert_int_equal(refuse_submit, 0);
    assert_int_equal(n_accepted, 2);
    assert_true(waited[0] && waited[1]);
    fg_step_drop(s);
    assert_int_equal(fg_seq_length(r.seq), 0);
    refused(fg_step_prepare(b.p.engine,
                            &(struct fg_step_span){r.seq, b.tokens, 5, 0, NULL, 0, NULL}, 1, &s,
                            &err),
            FG_EINVAL, &err, "a step broke off");
    run_finish(&r);
    go_ahead(&b, "after a step that broke off");
    bench_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_two_sequences),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_transfers_refused),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_broken_off),
    };

    return cmocka_run_group_tests(tests, pair_open_device, pair_close_device);
}
