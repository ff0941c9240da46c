/* Why a prompt finds no more: where it leaves what is stored, and what went. */
#include "util.h"

enum { BYTES = 100000 };

/* `ch`'s block i with the tokens from `same` on changed. */
static void put_twin(struct fg_cache *c, const struct chain *ch, uint32_t i, uint32_t same)
{
    const struct fg_key *parent = i ? &ch->keys[i - 1] : &ch->root;
    int32_t tokens[FG_BLOCK_TOKENS];
    struct fg_cache_put p;
    uint8_t *bytes;
    struct fg_key key;

    memcpy(tokens, chain_tokens(ch, i), sizeof tokens);
    for (uint32_t j = same; j < FG_BLOCK_TOKENS; j++)
        tokens[j] ^= 1;
    key = fg_key_next(parent, tokens);
    p = (struct fg_cache_put){.key = &key, .parent = parent, .index = i, .tokens = tokens};
    bytes = payload_make(&key, 0, BYTES);
    p.blob = fg_blob_copy_of(bytes, BYTES);
    assert_int_equal(fg_cache_put(c, &p), 0);
    fg_blob_unref(p.blob);
    free(bytes);
}

static void check_nearest(struct fg_cache *c, const struct chain *ch, uint32_t i, uint32_t n,
                          uint32_t want)
{
    struct fg_nearest nearest = {0};

    fg_cache_nearest(c, i ? &ch->keys[i - 1] : &ch->root, chain_tokens(ch, i), n, &nearest);
    assert_true(nearest.known);
    assert_int_equal(nearest.common, want);
    assert_memory_equal(nearest.tokens, chain_tokens(ch, i), want * sizeof *nearest.tokens);
    if (want < n)
        assert_int_not_equal(nearest.tokens[want], chain_tokens(ch, i)[want]);
}

static void test_nearest(void **state)
{
    char *dir = dir_make();
    struct chain *ch = chain_make(1, 0, 5), *other = chain_make(2, 0, 1);
    (void)state;

    for (int run = 0; run < 2; run++) { /* the second time from the disk */
        struct fg_cache *c = cache_open(dir, 16 * MIB);
        struct fg_nearest nearest = {0};

        if (run == 0) {
            fg_cache_nearest(c, &ch->root, ch->tokens, 64, &nearest);
            assert_false(nearest.known);
            put_blocks(c, ch, 0, 3, BYTES);
            put_twin(c, ch, 3, 0);
            put_twin(c, ch, 3, 41);
            put_twin(c, ch, 3, 7);
            put_twin(c, ch, 0, 20);
            fg_cache_flush(c);
        }
        check_nearest(c, ch, 3, 64, 41);
        check_nearest(c, ch, 3, 30, 30);
        check_nearest(c, other, 0, 64, 0);
        fg_cache_nearest(c, &ch->keys[4], ch->tokens, 64, &nearest);
        assert_false(nearest.known);
        check_nearest(c, ch, 0, 64, 20); /* not the prompt's own block, which is there too */
        fg_cache_close(c);
    }
    free(ch);
    free(other);
    dir_remove(dir);
}

/* Whatever order they are met in. */
static void test_ties(void **state)
{
    int32_t prompt[FG_BLOCK_TOKENS] = {5, 5, 5},
            blocks[3][FG_BLOCK_TOKENS] = {{5, 5, 9}, {5, 5, 7}, {5, 4}};
    (void)state;

    for (int from = 0; from < 3; from++) {
        struct fg_nearest nearest = {0};

        for (int i = 0; i < 3; i++)
            fg_nearest_add(&nearest, prompt, FG_BLOCK_TOKENS, blocks[(from + i) % 3]);
        assert_int_equal(nearest.common, 2);
        assert_memory_equal(nearest.tokens, blocks[1], sizeof blocks[1]);
    }
}

static void test_what_was_evicted(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *a = chain_make(1, 0, 10), *b = chain_make(2, 0, 38);
    uint32_t gone = 0;
    (void)state;

    put_blocks(c, a, 0, 10, BYTES);
    assert_int_equal(put_state(c, a, 9, BYTES), 0);
    fg_cache_flush(c);
    put_blocks(c, b, 0, 38, BYTES);
    fg_cache_flush(c);
    assert_int_equal(fg_cache_gone_state(c, &a->keys[9]), FG_GONE_EVICTED);
    for (uint32_t i = 0; i < 10; i++) {
        bool has = fg_cache_has_block(c, &a->keys[i]);

        assert_int_equal(fg_cache_gone_block(c, &a->keys[i]),
                         has ? FG_GONE_UNKNOWN : FG_GONE_EVICTED);
        assert_int_equal(fg_cache_gone_block(c, &b->keys[i]), FG_GONE_UNKNOWN);
        gone += !has;
    }
    assert_true(gone > 0);
    assert_int_equal(gone + 1, stats(c).evicted);
    fg_cache_close(c);
    free(a);
    free(b);
    dir_remove(dir);
}

static void test_what_was_corrupt(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *a = chain_make(1, 0, 2);
    struct fg_err err;
    (void)state;

    put_blocks(c, a, 0, 2, BYTES);
    fg_cache_flush(c);
    assert_int_equal(read_one(c, a, 1, 0, BYTES + 1, &err), 0); /* another size than stored */
    assert_int_equal(fg_cache_gone_block(c, &a->keys[1]), FG_GONE_CORRUPT);
    assert_int_equal(fg_cache_gone_state(c, &a->keys[1]), FG_GONE_UNKNOWN);
    assert_int_equal(fg_cache_gone_block(c, &a->keys[0]), FG_GONE_UNKNOWN);
    fg_cache_close(c);
    free(a);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_what_was_evicted),
        cmocka_unit_test(test_what_was_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
