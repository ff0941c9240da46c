/* Records in host memory: found by key and tokens, shared with others, gone in the order of use. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/blob.h"
#include "prefix/host_tier.h"

enum { BYTES = 100 << 10 };

static struct fg_key key_of(uint8_t n)
{
    struct fg_key key = {{n, 7}};

    return key;
}

static void offer(struct fg_host_tier *h, uint8_t n, bool is_state, uint64_t bytes)
{
    int32_t tokens[FG_BLOCK_TOKENS] = {n};
    struct fg_key key = key_of(n);
    struct fg_blob *blob = fg_blob_create(bytes);

    memset(fg_blob_piece(blob, 0, &(size_t){0}), n, 1);
    fg_host_tier_offer(h, &key, is_state, tokens, blob);
    fg_blob_unref(blob);
}

static bool fetch(struct fg_host_tier *h, uint8_t n, bool is_state)
{
    int32_t tokens[FG_BLOCK_TOKENS] = {n};
    struct fg_key key = key_of(n);
    struct fg_blob *blob = fg_host_tier_fetch(h, &key, is_state, tokens);

    if (!blob)
        return false;
    assert_int_equal(*(uint8_t *)fg_blob_piece(blob, 0, &(size_t){0}), n);
    fg_blob_unref(blob);
    return true;
}

static bool has(struct fg_host_tier *h, uint8_t n)
{
    struct fg_key key = key_of(n);

    return fg_host_tier_has(h, &key, false);
}

static void test_order_of_use(void **state)
{
    struct fg_host_tier *h = fg_host_tier_create(4 * (BYTES + 1024));
    struct fg_host_tier_stats s;

    (void)state;
    for (uint8_t n = 1; n <= 4; n++)
        offer(h, n, false, BYTES);
    assert_true(fetch(h, 1, false));
    offer(h, 5, false, BYTES);
    assert_true(has(h, 1) && !has(h, 2) && has(h, 3) && has(h, 4) && has(h, 5));
    offer(h, 6, false, 2 * BYTES);
    assert_true(has(h, 1) && !has(h, 3) && !has(h, 4) && has(h, 5) && has(h, 6));
    offer(h, 7, false, 5 * BYTES); /* larger than all */
    assert_true(has(h, 1) && has(h, 5) && has(h, 6) && !has(h, 7));
    fg_host_tier_stats(h, &s);
    assert_int_equal(s.records, 3);
    assert_true(s.bytes > 4 * BYTES && s.bytes <= s.max_bytes);
    assert_int_equal(s.hits, 1);
    fg_host_tier_destroy(h);
}

static void test_found_by_tokens(void **state)
{
    struct fg_host_tier *h = fg_host_tier_create(1 << 20);
    int32_t others[FG_BLOCK_TOKENS] = {9};
    struct fg_key key = key_of(1);

    (void)state;
    offer(h, 1, false, BYTES);
    assert_true(fetch(h, 1, false));
    assert_false(fetch(h, 1, true)); /* the block, not the state */
    offer(h, 1, true, BYTES);
    assert_true(fetch(h, 1, true));
    assert_null(fg_host_tier_fetch(h, &key, false, others));
    fg_host_tier_destroy(h);
}

static bool odd(void *ctx, const struct fg_key *key, bool is_state)
{
    (void)ctx;
    return key->b[0] % 2 && !is_state;
}

static void test_sweep(void **state)
{
    struct fg_host_tier *h = fg_host_tier_create(1 << 20);

    (void)state;
    for (uint8_t n = 1; n <= 5; n++)
        offer(h, n, n == 3, BYTES);
    fg_host_tier_sweep(h, odd, NULL);
    assert_true(fetch(h, 1, false) && fetch(h, 5, false));
    assert_false(fetch(h, 2, false) || fetch(h, 3, true) || fetch(h, 4, false));
    fg_host_tier_destroy(h);
}

static void test_off(void **state)
{
    struct fg_host_tier *h = fg_host_tier_create(0);
    struct fg_key key = key_of(1);

    (void)state;
    offer(h, 1, false, 1);
    assert_false(has(h, 1));
    assert_false(fg_host_tier_has(NULL, &key, false));
    fg_host_tier_destroy(h);
    fg_host_tier_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_use),
        cmocka_unit_test(test_found_by_tokens),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
