/* The roots of the stored trees: written with their first block, there after a reopening, ignored
 * when they do not verify. */
#include "util.h"

#include <lmdb.h>

#include "cache/handle.h"
#include "cache/roots.h"

static struct fg_cache_root root_of(uint8_t tenant)
{
    struct fg_cache_root r = {.key = test_root(), .name = "tiny"};

    memset(r.model, 1, sizeof r.model);
    memset(r.numerics, 2, sizeof r.numerics);
    memset(r.tenant, tenant, sizeof r.tenant);
    return r;
}

static void test_written_with_first_block(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *ch = chain_make(1, 0, 3);
    struct fg_cache_root r = root_of(7), got[2];
    (void)state;

    memset(r.name, 'n', FG_ROOT_NAME); /* the longest there is */
    fg_cache_note_root(c, &r);
    fg_cache_flush(c);
    assert_int_equal(fg_cache_roots(c, got, 2), 0);
    put_blocks(c, ch, 0, 3, 100);
    fg_cache_flush(c);
    for (int again = 0; again < 2; again++) {
        memset(got, 0, sizeof got);
        assert_int_equal(fg_cache_roots(c, got, 2), 1);
        assert_memory_equal(&got[0], &r, sizeof r);
        fg_cache_close(c);
        c = cache_open(dir, 4 * MIB);
    }
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

static void test_rotten_is_written_again(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *ch = chain_make(1, 0, 1), *other = chain_make(2, 0, 1);
    struct fg_cache_root r = root_of(0), got[2];
    uint8_t bad[FG_ROOT_BYTES] = {1};
    MDB_val k, v = {sizeof bad, bad};
    MDB_txn *txn;
    (void)state;

    fg_cache_note_root(c, &r);
    put_blocks(c, ch, 0, 1, 100);
    fg_cache_flush(c);
    k = fg_key_val(&r.key);
    assert_int_equal(mdb_txn_begin(c->store.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, c->store.db[FG_DB_ROOTS], &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    fg_cache_close(c);
    c = cache_open(dir, 4 * MIB);
    assert_int_equal(fg_cache_roots(c, got, 2), 0);
    assert_int_equal(find_blocks(c, ch), 1); /* which needs no root */
    fg_cache_note_root(c, &r);
    put_blocks(c, other, 0, 1, 100);
    fg_cache_flush(c);
    assert_int_equal(fg_cache_roots(c, got, 2), 1);
    assert_memory_equal(&got[0], &r, sizeof r);
    fg_cache_close(c);
    free(ch);
    free(other);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_with_first_block),
        cmocka_unit_test(test_rotten_is_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
