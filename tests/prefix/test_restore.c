/* Lookup, restore and store as tools use them: plain calls on one thread, with and without a VRAM
 * cache. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "fake_engine.h"
#include "fixture.h"
#include "prefix/bring.h"
#include "prefix/keep.h"
#include "gpu/device.h"

enum { N = 1000, SPAN = 64 };

struct bench {
    struct fg_device *dev;
    struct fg_engine *engine;
    struct fg_device_tier *vram;
    struct fg_cache *cache;
    struct fg_prefix_cache prefix_cache;
    struct fg_prefix prefix;
    int32_t tokens[N];
};

static void open_bench(struct bench *b, const char *dir, bool vram, bool lightning)
{
    struct fake_settings s = {.softmax = true, .lightning = lightning};
    struct fg_engine_options opt = {.n_ctx = 1024, .n_seq = 2, .n_pages = 40, .n_states = 3};
    struct fg_cache_options cache = {.dir = dir, .max_bytes = 32 << 20};
    uint64_t rng = 1;
    struct fg_key root = {{lightning}};

    memset(b, 0, sizeof *b);
    for (int i = 0; i < N; i++)
        b->tokens[i] = (int32_t)(fixture_random(&rng) % FAKE_VOCAB);
    fake_engine_set(&s);
    assert_int_equal(fg_device_open(NULL, NULL, &b->dev, NULL), 0);
    /* The toy reads nothing of the file. */
    assert_int_equal(fg_engine_create(&opt, (const struct fg_gguf *)b, b->dev, &b->engine, NULL),
                     0);
    if (vram)
        assert_int_equal(fg_device_tier_create(b->engine, &b->vram, NULL), 0);
    assert_int_equal(fg_cache_open(&cache, &b->cache, NULL), 0);
    fg_prefix_cache_init(&b->prefix_cache, b->engine, b->vram, b->cache);
    fg_prefix_init(&b->prefix, &root);
    assert_int_equal(fg_prefix_extend(&b->prefix, b->tokens, N, NULL), 0);
    assert_int_equal(b->prefix.n, N / 64);
}

static void close_bench(struct bench *b)
{
    fg_prefix_finish(&b->prefix);
    fg_device_tier_destroy(b->vram);
    fg_cache_close(b->cache);
    fg_engine_destroy(b->engine);
    fg_device_close(b->dev);
}

/* Computes the tokens from seq's end to `to` and keeps what it passes. */
static void compute(struct bench *b, struct fg_seq *seq, uint32_t to, struct fg_trail *trail,
                    float *logits)
{
    while (fg_seq_length(seq) < to) {
        uint32_t at = fg_seq_length(seq), n = to - at < SPAN ? to - at : SPAN - at % 64;
        struct fg_step_span span = {seq, b->tokens + at, n, 1, logits, 0, NULL};

        assert_int_equal(fg_engine_step(b->engine, &span, 1, NULL), 0);
        if (!trail)
            continue;
        assert_int_equal(fg_store_blocks(&b->prefix_cache, trail, seq, &b->prefix, b->tokens, NULL),
                         0);
        if ((at + n) % 256 == 0)
            assert_int_equal(
                fg_store_state(&b->prefix_cache, trail, seq, &b->prefix, b->tokens, NULL), 0);
        else if ((at + n) % 64 == 0)
            assert_int_equal(fg_store_note_state(&b->prefix_cache, trail, seq, &b->prefix, NULL),
                             0);
    }
}

static void fill_caches(struct bench *b)
{
    float logits[FAKE_VOCAB];
    struct fg_trail trail;
    struct fg_seq *seq;

    fg_trail_init(&trail);
    assert_int_equal(fg_seq_create(b->engine, &seq, NULL), 0);
    compute(b, seq, N, &trail, logits);
    assert_int_equal(trail.stored, N / 64);
    assert_int_equal(fg_store_end(&b->prefix_cache, &trail, seq, &b->prefix, b->tokens, NULL), 0);
    fg_cache_flush(b->cache);
}

/* Restores at most `limit` blocks, `step` at a time; the rest gives the same logits. */
static void check_restore(struct bench *b, uint32_t limit, uint32_t step, uint32_t want_blocks,
                          bool from_store)
{
    float got[FAKE_VOCAB], want[FAKE_VOCAB];
    struct fg_restore w;
    struct fg_seq *seq;

    assert_int_equal(fg_seq_create(b->engine, &seq, NULL), 0);
    fg_restore_begin(&w, &b->prefix_cache, &b->prefix, b->tokens, limit);
    assert_int_equal(w.found, limit);
    while (!w.done) {
        fg_restore_wait(&w);
        assert_int_equal(fg_restore_advance(&w, &b->prefix_cache, &seq, step, NULL), 0);
    }
    assert_null(w.way);
    assert_int_equal(fg_seq_length(seq), want_blocks * 64);
    assert_int_equal(w.store_records > 0, from_store);
    compute(b, seq, N, NULL, got);
    fake_model_logits(true, b->prefix_cache.state_bytes > 0, b->tokens, N, want);
    assert_memory_equal(got, want, sizeof want);
    fg_restore_drop(&b->prefix_cache, seq, b->prefix.keys);
}

static void check_all(const char *dir, bool vram, bool lightning)
{
    struct bench b;

    open_bench(&b, dir, vram, lightning);
    fill_caches(&b);
    /* Computed: 1000 tokens, 15 blocks. States: 256, 512, 768 and the noted one at 960. */
    check_restore(&b, 15, 4, 15, !vram);
    check_restore(&b, 14, UINT32_MAX, lightning ? 12 : 14, !vram);
    check_restore(&b, 3, 1, lightning ? 0 : 3, !vram && !lightning);
    close_bench(&b);
    open_bench(&b, dir, vram, lightning);
    check_restore(&b, 15, 1, 15, true);
    check_restore(&b, 15, 1, 15, !vram);
    close_bench(&b);
}

static void test_restore(void **state)
{
    (void)state;
    for (int vram = 0; vram < 2; vram++)
        for (int lightning = 0; lightning < 2; lightning++) {
            char *dir = dir_make();
            char path[512];

            snprintf(path, sizeof path, "%s/cache", dir);
            check_all(path, vram, lightning);
            dir_remove(dir);
        }
}

static void check_vram_empty(const struct bench *b)
{
    for (uint32_t i = 0; i < N / 64; i++) {
        assert_false(fg_device_tier_find(b->vram, &b->prefix.keys[i], b->tokens + i * 64, NULL));
        assert_int_equal(fg_device_tier_state(b->vram, &b->prefix.keys[i], i), FG_TIER_NONE);
    }
}

/* Read only: what comes from the store stays unknown to VRAM, and what is computed to both. */
static void test_read_only(void **state)
{
    (void)state;
    for (int lightning = 0; lightning < 2; lightning++) {
        char *dir = dir_make(), path[512];
        struct fg_cache_stats stats;
        float logits[FAKE_VOCAB];
        struct fg_trail trail;
        struct fg_seq *seq;
        struct bench b;

        snprintf(path, sizeof path, "%s/cache", dir);
        open_bench(&b, path, true, lightning);
        b.prefix_cache.read_only = true;
        fg_trail_init(&trail);
        assert_int_equal(fg_seq_create(b.engine, &seq, NULL), 0);
        compute(&b, seq, N, &trail, logits);
        assert_int_equal(fg_store_end(&b.prefix_cache, &trail, seq, &b.prefix, b.tokens, NULL), 0);
        fg_cache_flush(b.cache);
        fg_cache_stats(b.cache, &stats);
        assert_int_equal(stats.blocks + stats.states + stats.bytes_written, 0);
        check_vram_empty(&b);
        b.prefix_cache.read_only = false;
        fill_caches(&b);
        close_bench(&b);
        open_bench(&b, path, true, lightning);
        b.prefix_cache.read_only = true;
        for (int i = 0; i < 2; i++)
            check_restore(&b, 15, 4, 15, true);
        check_vram_empty(&b);
        close_bench(&b);
        dir_remove(dir);
    }
}

/* What no sequence uses goes, oldest and last block first; what is used stays. */
static void test_vram_room(void **state)
{
    char *dir = dir_make(), path[512];
    float logits[FAKE_VOCAB];
    struct fg_trail trail;
    struct fg_seq *seq;
    struct bench b;

    (void)state;
    snprintf(path, sizeof path, "%s/cache", dir);
    open_bench(&b, path, true, false);
    fg_trail_init(&trail);
    assert_int_equal(fg_seq_create(b.engine, &seq, NULL), 0);
    compute(&b, seq, 640, &trail, logits);
    assert_int_equal(fg_device_tier_evictable(b.vram), 0);
    assert_false(fg_device_tier_make_room(b.vram, 31)); /* 30 of 40 are free, 10 in use */
    fg_restore_drop(&b.prefix_cache, seq, b.prefix.keys);
    fg_trail_finish(&trail, &b.prefix_cache);
    assert_int_equal(fg_device_tier_evictable(b.vram), 10);
    assert_int_equal(fg_device_tier_evictable_among(b.vram, b.prefix.keys, 4), 4);
    assert_true(fg_device_tier_make_room(b.vram, 34));
    assert_int_equal(fg_engine_free_pages(b.engine), 34);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(fg_device_tier_find(b.vram, &b.prefix.keys[i], b.tokens + i * 64, NULL),
                         i < 6);
    /* The right key with other tokens is no hit. */
    assert_false(fg_device_tier_find(b.vram, &b.prefix.keys[0], b.tokens + 1, NULL));
    assert_true(fg_device_tier_make_room(b.vram, 40));
    assert_false(fg_device_tier_make_room(b.vram, 41));
    close_bench(&b);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_vram_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
