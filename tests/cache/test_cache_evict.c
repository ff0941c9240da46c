/* The budget: what goes first, that nothing is orphaned, that the file keeps its size. */
#include "util.h"

#include "cache/batch.h"
#include "cache/handle.h"
#include "cache/reopen.h"

/* Every stored block's parent is stored; every state's block; every record has its value. In the
 * reader's place, who has nothing to do now: the writer may want to close the file. */
static uint64_t check_tree(struct fg_cache *c)
{
    MDB_txn *txn = fg_store_enter(c);
    uint64_t n = 0;

    assert_non_null(txn);
    for (enum fg_kind kind = 0; kind < FG_KINDS; kind++) {
        MDB_cursor *cur;
        MDB_val k, v, x;

        assert_int_equal(mdb_cursor_open(txn, c->store.db[fg_meta_db(kind)], &cur), 0);
        while (mdb_cursor_get(cur, &k, &v, MDB_NEXT) == 0) {
            struct fg_record r;
            struct fg_key key;

            memcpy(key.b, k.mv_data, 16);
            assert_int_equal(fg_meta_decode(kind, &key, v.mv_data, v.mv_size, &r), 0);
            for (uint32_t i = 0; i < fg_record_pieces(r.bytes); i++) {
                uint8_t piece[FG_PIECE_KEY_BYTES];
                MDB_val pk = {sizeof piece, piece};

                fg_piece_key(&key, i, piece);
                assert_int_equal(mdb_get(txn, c->store.db[fg_data_db(kind)], &pk, &x), 0);
            }
            if (kind == FG_KIND_BLOCK && r.index > 0)
                key = r.parent;
            k = fg_key_val(&key);
            if (mdb_get(txn, c->store.db[FG_DB_BLOCKS], &k, &x) != 0)
                fail_msg("an orphan of kind %d at index %u", kind, r.index);
            n++;
        }
        mdb_cursor_close(cur);
    }
    fg_store_leave(c);
    return n;
}

static void check_budget(struct fg_cache *c)
{
    struct fg_cache_stats s = stats(c);

    assert_true(s.block_bytes + s.state_bytes <= s.max_bytes);
    if (s.file_bytes > s.max_bytes + s.max_bytes / 8 + 64 * 4096)
        fail_msg("file %llu, budget %llu", (unsigned long long)s.file_bytes,
                 (unsigned long long)s.max_bytes);
}

static void test_least_recently_used_leaf_goes_first(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *a = chain_make(1, 0, 10), *b = chain_make(2, 0, 10), *d = chain_make(3, 0, 500);
    uint32_t i = 0;
    (void)state;

    put_blocks(c, a, 0, 10, 100000);
    put_blocks(c, b, 0, 10, 100000);
    fg_cache_flush(c);
    fg_cache_touch(c, a->keys, 10); /* now b is the older one */
    for (; stats(c).evicted == 0; i++) {
        assert_true(i < 100);
        put_blocks(c, d, i, i + 1, 100000);
        fg_cache_flush(c);
    }
    assert_int_equal(stats(c).evicted, 1);
    assert_int_equal(find_blocks(c, a), 10);
    assert_int_equal(find_blocks(c, b), 9); /* its last block went first */
    put_blocks(c, d, i, i + 9, 100000);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, a), 10);
    assert_int_equal(find_blocks(c, b), 0);
    put_blocks(c, d, i + 9, i + 12, 100000);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, a), 7); /* then the end of a */
    assert_int_equal(find_blocks(c, d), i + 12);
    check_tree(c);
    check_budget(c);
    fg_cache_close(c);
    free(a);
    free(b);
    free(d);
    dir_remove(dir);
}

/* Uses are on disk: the order is the same after a restart, whatever the clock of the machine. */
static void test_order_survives_restart(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *a = chain_make(1, 0, 10), *b = chain_make(2, 0, 10), *d = chain_make(3, 0, 40);
    (void)state;

    put_blocks(c, a, 0, 10, 100000);
    put_blocks(c, b, 0, 10, 100000);
    fg_cache_flush(c);
    fg_cache_touch(c, a->keys, 10);
    fg_cache_close(c);
    c = cache_open(dir, 4 * MIB);
    put_blocks(c, d, 0, 18, 100000);
    fg_cache_flush(c);
    assert_true(stats(c).evicted > 0);
    assert_int_equal(find_blocks(c, a), 10);
    assert_true(find_blocks(c, b) < 10);
    assert_int_equal(find_blocks(c, d), 18);
    fg_cache_close(c);
    free(a);
    free(b);
    free(d);
    dir_remove(dir);
}

/* A state holds its block; it goes on its own, and is used with its block. */
static void test_states(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *a = chain_make(1, 0, 3), *b = chain_make(2, 0, 3), *d = chain_make(3, 0, 40);
    uint32_t i = 0;
    (void)state;

    put_blocks(c, a, 0, 3, 1000);
    assert_int_equal(put_state(c, a, 2, 500000), 0);
    put_blocks(c, b, 0, 3, 1000);
    assert_int_equal(put_state(c, b, 2, 500000), 0);
    fg_cache_flush(c);
    fg_cache_touch(c, a->keys, 3);
    for (; stats(c).states == 2; i++) {
        assert_true(i < 40);
        put_blocks(c, d, i, i + 1, 100000);
        fg_cache_flush(c);
        check_tree(c);
    }
    assert_true(fg_cache_has_state(c, &a->keys[2]));
    assert_false(fg_cache_has_state(c, &b->keys[2]));
    assert_int_equal(find_blocks(c, a), 3);
    assert_true(stats(c).evicted >= 1);
    fg_cache_close(c);
    free(a);
    free(b);
    free(d);
    dir_remove(dir);
}

/* One chain that alone fills the budget: its head stays, its end finds no room. */
static void test_chain_longer_than_budget(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, MIB);
    struct chain *a = chain_make(1, 0, 200);
    struct fg_cache_stats s;
    (void)state;

    put_blocks(c, a, 0, 200, 10000);
    fg_cache_flush(c);
    s = stats(c);
    assert_true(s.blocks > 50);
    assert_int_equal(find_blocks(c, a), s.blocks);
    assert_int_equal(s.blocks + s.evicted + s.dropped_full + s.dropped_orphan, 200);
    check_tree(c);
    check_budget(c);
    fg_cache_close(c);
    free(a);
    dir_remove(dir);
}

/* A large record after many small ones needs a long run of pages in a file that is full of holes.
 * Where the batches end moves the holes: every seed lays the file out otherwise. */
static void scatter(uint64_t seed)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    uint64_t s = 3, ends = seed;

    for (uint64_t round = 0; round < 40; round++) {
        struct chain *a = chain_make(100 + round, 0, 60);
        size_t big = 100000 + mix(&s) % 900000;
        struct fg_err err;

        for (uint32_t i = 0; i < 60; i++) {
            assert_int_equal(put_block(c, a, i, 1 + mix(&s) % 30000), 0);
            if (mix(&ends) % 12 == 0)
                fg_cache_flush(c);
        }
        assert_int_equal(put_state(c, a, 5, big), 0);
        fg_cache_flush(c);
        if (!fg_cache_has_state(c, &a->keys[5]))
            fail_msg("seed %d, round %d: no room for %zu bytes", (int)seed, (int)round, big);
        assert_int_equal(read_one(c, a, 5, 1, big, &err), 1);
        check_tree(c);
        check_budget(c);
        free(a);
    }
    assert_int_equal(stats(c).write_errors, 0);
    fg_cache_close(c);
    dir_remove(dir);
}

static void test_scattered_free_pages(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        scatter(seed);
}

static void random_op(struct fg_cache *c, struct chain **chains, int n, uint64_t *s)
{
    struct chain *ch = chains[mix(s) % (uint64_t)n];
    uint32_t i = (uint32_t)(mix(s) % ch->n);
    struct fg_err err;

    switch (mix(s) % 6) {
    case 0: /* as a prefill would: from the first block that is missing */
    case 1:
        for (uint32_t j = find_blocks(c, ch); j <= i; j++)
            put_block(c, ch, j, 20000);
        break;
    case 2: put_state(c, ch, i, 150000); break;
    case 3: fg_cache_touch(c, ch->keys, i); break;
    case 4: put_block(c, ch, i, 20000); break;
    case 5:
        if (read_one(c, ch, i, 0, 20000, &err) < 0)
            fail_msg("wrong payload");
        break;
    }
}

static void test_random_ops_never_orphan(void **state)
{
    enum { CHAINS = 8 };
    char *dir = dir_make();
    struct chain *chains[CHAINS];
    struct fg_cache *c = cache_open(dir, 2 * MIB);
    uint64_t s = 99, seen = 0, evicted = 0;
    (void)state;

    for (int i = 0; i < CHAINS; i++)
        chains[i] = chain_make((uint64_t)i, (uint32_t)(i % 4) * 8, 40);
    for (int op = 0; op < (soak() ? 40000 : 2500); op++) {
        random_op(c, chains, CHAINS, &s);
        if (op % 10 == 0) {
            seen += check_tree(c); /* between the writer's transactions, wherever it is */
            check_budget(c);
        }
        if (op % 25 == 24)
            fg_cache_flush(c); /* so that the disk's speed does not decide what is tested */
        if (op % 500 == 499) {
            evicted += stats(c).evicted;
            fg_cache_close(c);
            c = cache_open(dir, 2 * MIB);
        }
    }
    fg_cache_flush(c);
    check_tree(c);
    assert_true(seen > 1000);
    assert_true(evicted > 100);
    assert_int_equal(stats(c).write_errors, 0);
    assert_int_equal(stats(c).dropped_corrupt, 0);
    fg_cache_close(c);
    for (int i = 0; i < CHAINS; i++)
        free(chains[i]);
    dir_remove(dir);
}

static void test_smaller_budget_at_restart(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 32 * MIB);
    struct chain *a = chain_make(1, 0, 300);
    struct fg_cache_stats s;
    uint64_t file;
    (void)state;

    put_blocks(c, a, 0, 300, 60000);
    fg_cache_close(c);
    c = cache_open(dir, 2 * MIB);
    fg_cache_flush(c);
    s = stats(c);
    file = s.file_bytes; /* a little more than at first: deleting takes pages */
    assert_true(s.blocks > 10 && s.blocks < 32);
    assert_int_equal(s.blocks + s.evicted, 300);
    assert_int_equal(find_blocks(c, a), s.blocks); /* the head of the chain */
    check_tree(c);
    put_blocks(c, a, (uint32_t)s.blocks, 300, 60000);
    fg_cache_flush(c);
    assert_true(stats(c).file_bytes <= file); /* freed pages serve again; the file stays */
    fg_cache_close(c);
    free(a);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_recently_used_leaf_goes_first),
        cmocka_unit_test(test_order_survives_restart),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_chain_longer_than_budget),
        cmocka_unit_test(test_scattered_free_pages),
        cmocka_unit_test(test_random_ops_never_orphan),
        cmocka_unit_test(test_smaller_budget_at_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
