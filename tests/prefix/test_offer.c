/* Records on their way from the device to the store while the device still reads them: each is
 * offered once, closed roots let nothing pass, and pages that are read are nobody's to evict. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "base/ticket.h"
#include "fake_engine.h"
#include "fixture.h"
#include "prefix/bring.h"
#include "prefix/held.h"
#include "prefix/keep.h"
#include "prefix/offer.h"
#include "gpu/device.h"

enum { BLOCKS = 3, N = BLOCKS * 64, PAGES = 16, TENANTS = 2, MOST_HELD = 32 };

struct bench {
    char *dir;
    struct fg_device *dev;
    struct fg_engine *engine;
    struct fg_device_tier *vram;
    struct fg_cache *cache;
    struct fg_offers offers;
    struct fg_way *unwanted;
    struct fg_prefix_cache r;
    struct fg_prefix prefix[TENANTS]; /* of the same tokens */
    int32_t tokens[N];
    float logits[FAKE_VOCAB];
    bool hold; /* transfers do not end */
    struct fg_ticket *held[MOST_HELD];
    uint32_t n_held;
};

static bool on_transfer(void *ctx, struct fg_ticket *ticket)
{
    struct bench *b = ctx;

    if (!b->hold)
        return false;
    assert_true(b->n_held < MOST_HELD);
    b->held[b->n_held++] = ticket;
    return true;
}

static void let_go(struct bench *b)
{
    b->hold = false;
    while (b->n_held)
        fg_ticket_end(b->held[--b->n_held], 0, NULL);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct fake_settings s = {
        .softmax = true, .lightning = true, .on_transfer = on_transfer, .on_transfer_ctx = b};
    struct fg_engine_options opt = {.n_ctx = 256, .n_seq = 2, .n_pages = PAGES, .n_states = 3};
    struct fg_cache_options cache = {.max_bytes = 32 << 20};
    uint64_t rng = 1;

    b->dir = dir_make();
    cache.dir = b->dir;
    for (int i = 0; i < N; i++)
        b->tokens[i] = (int32_t)(fixture_random(&rng) % FAKE_VOCAB);
    fake_engine_set(&s);
    assert_int_equal(fg_device_open(NULL, NULL, &b->dev, NULL), 0);
    /* The toy reads nothing of the file. */
    assert_int_equal(fg_engine_create(&opt, (const struct fg_gguf *)b, b->dev, &b->engine, NULL),
                     0);
    assert_int_equal(fg_device_tier_create(b->engine, &b->vram, NULL), 0);
    assert_int_equal(fg_cache_open(&cache, &b->cache, NULL), 0);
    fg_prefix_cache_init(&b->r, b->engine, b->vram, b->cache);
    b->r.offers = &b->offers;
    b->r.unwanted = &b->unwanted;
    for (int t = 0; t < TENANTS; t++) {
        struct fg_key root = {{(uint8_t)(1 + t)}};

        fg_prefix_init(&b->prefix[t], &root);
        assert_int_equal(fg_prefix_extend(&b->prefix[t], b->tokens, N, NULL), 0);
    }
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    let_go(b);
    fg_restore_reap(&b->r, true);
    fg_offer_drain(&b->r);
    for (int t = 0; t < TENANTS; t++)
        fg_prefix_finish(&b->prefix[t]);
    fg_device_tier_destroy(b->vram);
    fg_cache_close(b->cache);
    fg_engine_destroy(b->engine);
    fg_device_close(b->dev);
    dir_remove(b->dir);
    free(b);
    return 0;
}

/* Computes the prompt for a tenant, and keeps its blocks and the state at its end. */
static struct fg_seq *compute(struct bench *b, int tenant)
{
    struct fg_seq *seq;
    struct fg_trail trail;

    assert_int_equal(fg_seq_create(b->engine, &seq, NULL), 0);
    for (uint32_t at = 0; at < N; at += 64) {
        struct fg_step_span span = {seq, b->tokens + at, 64, 1, b->logits, 0, NULL};

        assert_int_equal(fg_engine_step(b->engine, &span, 1, NULL), 0);
    }
    fg_trail_init(&trail);
    assert_int_equal(fg_store_state(&b->r, &trail, seq, &b->prefix[tenant], b->tokens, NULL), 0);
    fg_trail_finish(&trail, &b->r);
    return seq;
}

static void drop(struct bench *b, struct fg_seq *seq, int tenant)
{
    fg_restore_drop(&b->r, seq, b->prefix[tenant].keys);
}

/* What of a tenant's is in the store. */
static uint32_t stored(struct bench *b, int tenant)
{
    uint32_t n = 0;

    fg_offer_drain(&b->r);
    fg_cache_flush(b->cache);
    for (uint32_t i = 0; i < BLOCKS; i++)
        n += fg_cache_has_block(b->cache, &b->prefix[tenant].keys[i]) +
             fg_cache_has_state(b->cache, &b->prefix[tenant].keys[i]);
    return n;
}

static void test_closed_roots(void **state)
{
    struct bench *b = *state;
    struct fg_closed_roots closed = {.roots = &b->prefix[0].root, .n = 1}, other = closed;
    struct fg_seq *mine, *yours;

    other.roots = &b->prefix[1].root;
    b->hold = true;
    mine = compute(b, 0);
    drop(b, mine, 0);
    yours = compute(b, 1);
    drop(b, yours, 1);
    assert_int_equal(b->n_held, 2 * (BLOCKS + 1));
    fg_offer_close(&b->r, &closed);
    assert_false(fg_offer_has(&b->r, &b->prefix[0].keys[0], false));
    assert_true(fg_offer_has(&b->r, &b->prefix[1].keys[0], false));
    /* Nor does what is offered meanwhile pass. */
    mine = compute(b, 0);
    assert_int_equal(b->n_held, 2 * (BLOCKS + 1));
    let_go(b);
    assert_int_equal(stored(b, 0), 0);
    assert_int_equal(stored(b, 1), BLOCKS + 1);
    fg_offer_close(&b->r, &other); /* two at a time, opened in any order */
    fg_offer_open(&b->r, &closed);
    fg_offer_open(&b->r, &other);
    drop(b, mine, 0);
    mine = compute(b, 0);
    assert_int_equal(stored(b, 0), BLOCKS + 1);
    drop(b, mine, 0);
}

static void test_offered_once(void **state)
{
    struct bench *b = *state;
    struct fake_counts counts;
    struct fg_seq *first, *second;

    b->hold = true;
    first = compute(b, 0);
    second = compute(b, 0);
    fake_engine_counts(&counts);
    assert_int_equal(counts.page_reads, BLOCKS);
    assert_int_equal(counts.state_reads, 1);
    let_go(b);
    assert_int_equal(stored(b, 0), BLOCKS + 1);
    drop(b, first, 0);
    drop(b, second, 0);
}

/* To evict a page that is read would cost the block and free nothing. */
static void test_what_is_read_stays(void **state)
{
    struct bench *b = *state;

    b->hold = true;
    drop(b, compute(b, 0), 0);
    assert_int_equal(fg_engine_free_pages(b->engine), PAGES - BLOCKS);
    assert_int_equal(fg_device_tier_evictable(b->vram), 0);
    assert_true(fg_pages_held(&b->r));
    assert_false(fg_device_tier_make_room(b->vram, PAGES));
    for (uint32_t i = 0; i < BLOCKS; i++)
        assert_true(fg_device_tier_find(b->vram, &b->prefix[0].keys[i], b->tokens + 64 * i, NULL));
    let_go(b);
    fg_offer_turn(&b->r);
    assert_false(fg_pages_held(&b->r));
    assert_int_equal(fg_device_tier_evictable(b->vram), BLOCKS);
    assert_true(fg_device_tier_make_room(b->vram, PAGES));
}

/* Pages that a stopped restore still writes to come free when that ends. */
static void test_stopped_restore(void **state)
{
    struct bench *b = *state;
    struct fg_restore w;
    struct fg_seq *seq;

    drop(b, compute(b, 0), 0);
    assert_int_equal(stored(b, 0), BLOCKS + 1);
    assert_true(fg_device_tier_make_room(b->vram, PAGES));
    b->hold = true;
    assert_int_equal(fg_seq_create(b->engine, &seq, NULL), 0);
    fg_restore_begin(&w, &b->r, &b->prefix[0], b->tokens, BLOCKS);
    assert_int_equal(w.target, BLOCKS);
    while (b->n_held == 0) {
        assert_int_equal(fg_restore_advance(&w, &b->r, &seq, BLOCKS, NULL), 0);
        if (b->n_held == 0)
            fg_restore_wait(&w);
    }
    fg_restore_stop(&w, &b->r);
    drop(b, seq, 0);
    assert_true(fg_engine_free_pages(b->engine) < PAGES);
    assert_int_equal(fg_device_tier_evictable(b->vram), 0);
    assert_true(fg_pages_held(&b->r));
    let_go(b);
    fg_restore_reap(&b->r, true);
    assert_false(fg_pages_held(&b->r));
    assert_int_equal(fg_engine_free_pages(b->engine), PAGES);
}

/* A pinned slot of a swept state keeps its pin, and is found no more. */
static bool none(void *ctx, const struct fg_key *key, bool is_state)
{
    (void)ctx;
    (void)key;
    (void)is_state;
    return false;
}

static void test_sweep_of_pinned(void **state)
{
    struct bench *b = *state;
    const struct fg_key *key = &b->prefix[0].keys[BLOCKS - 1];
    uint32_t slot, others[3];

    drop(b, compute(b, 0), 0);
    slot = fg_device_tier_state(b->vram, key, BLOCKS - 1);
    assert_int_not_equal(slot, FG_TIER_NONE);
    fg_device_tier_state_pin(b->vram, slot);
    fg_device_tier_sweep(b->vram, none, NULL);
    assert_int_equal(fg_device_tier_state(b->vram, key, BLOCKS - 1), FG_TIER_NONE);
    for (int i = 0; i < 2; i++)
        assert_int_not_equal(others[i] = fg_device_tier_state_take(b->vram), slot);
    assert_int_equal(fg_device_tier_state_take(b->vram), FG_TIER_NONE);
    fg_device_tier_state_unpin(b->vram, slot);
    assert_int_equal(others[2] = fg_device_tier_state_take(b->vram), slot);
    for (int i = 0; i < 3; i++)
        fg_device_tier_state_drop(b->vram, others[i]);
}

/* A state of MiniMax-M1 takes 280 MiB, and comes behind the blocks before it. */
static void test_large_states(void **state)
{
    struct fg_prefix_cache r = {0};

    (void)state;
    for (size_t mb = 0; mb <= 4096; mb += 8) {
        r.state_bytes = mb << 20;
        assert_true(fg_offer_most(&r) >= r.state_bytes + ((size_t)64 << 20));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_closed_roots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_offered_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_read_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped_restore, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep_of_pinned, set_up, tear_down),
        cmocka_unit_test(test_large_states),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
