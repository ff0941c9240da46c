/* Records that go because they are wrong: those that wait to be written or are being written too,
 * and those that cannot be deleted just now. None comes back; none goes that was put anew. */
#include "gate.h"
#include "util.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "cache/handle.h"
#include "cache/put_queue.h"

enum { BYTES = 5000, BUDGET_MIB = 256 };

/* Transactions that still succeed; -1: all. */
static atomic_int syncs_left = -1;

/* What the writer waits for: it syncs each transaction, and reads with pread to check a file. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    gate_pass();
    if (atomic_load(&syncs_left) == 0) {
        errno = EIO;
        return -1;
    }
    if (atomic_load(&syncs_left) > 0)
        atomic_fetch_sub(&syncs_left, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    gate_pass();
    return (ssize_t)syscall(SYS_pread64, fd, buf, n, at);
}

struct set {
    char *dir;
    struct fg_cache *c;
    struct chain *ch, *other;
};

static struct set make(void)
{
    struct set s = {dir_make(), NULL, chain_make(1, 0, 4), chain_make(2, 0, 1)};

    s.c = cache_open(s.dir, BUDGET_MIB * MIB);
    fg_cache_flush(s.c);
    return s;
}

static void reopen(struct set *s)
{
    fg_cache_close(s->c);
    s->c = cache_open(s->dir, BUDGET_MIB * MIB);
}

static void finish(struct set *s)
{
    fg_cache_close(s->c);
    free(s->ch);
    free(s->other);
    dir_remove(s->dir);
}

/* Neither found nor read. */
static void expect_miss(struct fg_cache *c, const struct chain *ch, uint32_t i)
{
    struct fg_err err;

    assert_false(fg_cache_has_block(c, &ch->keys[i]));
    assert_int_equal(read_one(c, ch, i, 0, BYTES, &err), 0);
    assert_int_equal(err.code, FG_ENOTFOUND);
    assert_int_equal(fg_cache_gone_block(c, &ch->keys[i]), FG_GONE_CORRUPT);
}

/* The writer is kept in the transaction of a record: the put that is dropped is behind it. */
static void test_queued(void **state)
{
    struct set s = make();
    struct fg_err err;
    (void)state;

    gate_shut();
    put_blocks(s.c, s.other, 0, 1, BYTES);
    gate_wait();
    put_blocks(s.c, s.ch, 0, 3, BYTES);
    fg_cache_drop(s.c, &s.ch->keys[2], false); /* the last of the queue */
    expect_miss(s.c, s.ch, 2);
    fg_cache_drop(s.c, &s.ch->keys[1], false);
    expect_miss(s.c, s.ch, 1);
    assert_int_equal(stats(s.c).dropped_corrupt, 2);
    assert_int_equal(stats(s.c).queued_bytes, 2 * BYTES);
    gate_open();
    fg_cache_flush(s.c);
    expect_miss(s.c, s.ch, 1);
    reopen(&s);
    assert_int_equal(find_blocks(s.c, s.ch), 1);
    assert_int_equal(find_blocks(s.c, s.other), 1);
    put_blocks(s.c, s.ch, 1, 4, BYTES);
    fg_cache_flush(s.c);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(read_one(s.c, s.ch, i, 0, BYTES, &err), 1);
    finish(&s);
}

/* Put again while its drop waits: what comes later stays. */
static void test_put_again(void **state)
{
    struct set s = make();
    struct fg_err err;
    (void)state;

    gate_shut();
    put_blocks(s.c, s.other, 0, 1, BYTES);
    gate_wait();
    put_blocks(s.c, s.ch, 0, 1, BYTES);
    fg_cache_drop(s.c, &s.ch->keys[0], false);
    put_blocks(s.c, s.ch, 0, 1, BYTES);
    gate_open();
    fg_cache_flush(s.c);
    assert_int_equal(read_one(s.c, s.ch, 0, 0, BYTES, &err), 1);
    reopen(&s);
    assert_int_equal(read_one(s.c, s.ch, 0, 0, BYTES, &err), 1);
    finish(&s);
}

static void test_being_written(void **state)
{
    struct set s = make();
    struct fg_err err;
    (void)state;

    gate_shut();
    put_blocks(s.c, s.ch, 0, 1, BYTES);
    gate_wait();
    assert_int_equal(read_one(s.c, s.ch, 0, 0, BYTES, &err), 1);
    fg_cache_drop(s.c, &s.ch->keys[0], false);
    expect_miss(s.c, s.ch, 0);
    gate_open();
    fg_cache_flush(s.c);
    expect_miss(s.c, s.ch, 0);
    assert_int_equal(stats(s.c).blocks, 0);
    assert_int_equal(stats(s.c).dropped_corrupt, 1);
    reopen(&s);
    assert_int_equal(find_blocks(s.c, s.ch), 0);
    assert_int_equal(stats(s.c).dropped_corrupt, 0);
    put_blocks(s.c, s.ch, 0, 1, BYTES);
    fg_cache_flush(s.c);
    assert_int_equal(read_one(s.c, s.ch, 0, 0, BYTES, &err), 1);
    finish(&s);
}

/* A reader's report waits to be looked into, and will be found to be about bytes that verify. */
static void test_after_a_report(void **state)
{
    struct set s = make();
    (void)state;

    put_blocks(s.c, s.ch, 0, 1, BYTES);
    fg_cache_flush(s.c);
    gate_shut();
    put_blocks(s.c, s.other, 0, 1, BYTES);
    gate_wait();
    fg_report_corrupt(s.c, FG_KIND_BLOCK, &s.ch->keys[0], false);
    fg_cache_drop(s.c, &s.ch->keys[0], false);
    gate_open();
    fg_cache_flush(s.c);
    fg_cache_flush(s.c);
    expect_miss(s.c, s.ch, 0);
    reopen(&s);
    assert_int_equal(find_blocks(s.c, s.ch), 0);
    finish(&s);
}

/* The store is read anew after damage; what it finds wrong has been put again meanwhile, and is
 * written before the drop's turn comes. */
static void test_put_during_the_check(void **state)
{
    struct set s = make();
    struct fg_cache *c = s.c;
    MDB_val k = fg_key_val(&s.ch->keys[0]), v = {9, (void *)"no record"};
    struct fg_err err;
    MDB_txn *txn;
    (void)state;

    put_blocks(c, s.ch, 0, 1, BYTES);
    fg_cache_flush(c);
    assert_int_equal(mdb_txn_begin(c->store.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, c->store.db[FG_DB_BLOCKS], &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    atomic_fetch_add(&c->store.last_txn, 1); /* else it would be somebody else's */
    gate_shut();
    fg_report_damage(c, "so that it is checked");
    gate_wait();
    pthread_mutex_lock(&c->mu);
    fg_index_reset(&c->ix); /* the check began so */
    c->batch_cap = 1;       /* a record a transaction */
    pthread_mutex_unlock(&c->mu);
    put_blocks(c, s.ch, 0, 2, BYTES);
    gate_open();
    fg_cache_flush(c);
    assert_int_equal(stats(c).dropped_corrupt, 1); /* it was met */
    assert_int_equal(find_blocks(c, s.ch), 2);
    assert_int_equal(read_one(c, s.ch, 0, 0, BYTES, &err), 1);
    finish(&s);
}

/* Values of the database. */
static size_t count(struct fg_cache *c, enum fg_db db)
{
    MDB_txn *txn;
    MDB_stat st;

    assert_int_equal(mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_stat(txn, c->store.db[db], &st), 0);
    mdb_txn_abort(txn);
    return st.ms_entries;
}

/* A large record fails after two of its pieces, and so does taking them back. */
static void test_pieces_that_could_not_be_taken_back(void **state)
{
    struct set s = make();
    const size_t bytes = 6 * (size_t)FG_RECORD_PIECE;
    struct fg_err err;
    (void)state;

    put_blocks(s.c, s.ch, 0, 1, BYTES);
    fg_cache_flush(s.c);
    s.c->batch_cap = 1; /* a piece a transaction */
    for (int again = 0; again < 3; again++) {
        atomic_store(&syncs_left, 2);
        assert_int_equal(put_state(s.c, s.ch, 0, bytes), 0);
        fg_cache_flush(s.c);
        assert_false(fg_cache_has_state(s.c, &s.ch->keys[0]));
        assert_int_equal(count(s.c, FG_DB_STATE_DATA), 2);
        assert_int_equal(s.c->remains.cost,
                         fg_index_cost(&s.c->ix, FG_KIND_STATE, 2 * (uint64_t)FG_RECORD_PIECE));
        fg_cache_touch(s.c, s.ch->keys, 1); /* something else to write, which fails as well */
        fg_cache_flush(s.c);
        assert_int_equal(s.c->remains.n, 1);
        atomic_store(&syncs_left, -1);
        if (again == 2) /* the record itself comes first */
            assert_int_equal(put_state(s.c, s.ch, 0, bytes), 0);
        else
            fg_cache_touch(s.c, s.ch->keys, 1);
        fg_cache_flush(s.c);
        assert_int_equal(s.c->remains.cost, 0);
        assert_int_equal(count(s.c, FG_DB_STATE_DATA), again == 2 ? 6 : 0);
    }
    assert_int_equal(read_one(s.c, s.ch, 0, 1, bytes, &err), 1);
    finish(&s);
}

/* A wrong record that the disk does not let go of: a miss until it does, also where the store is
 * opened again in between; and forgetting a tree takes it along. */
static void test_drop_that_could_not_be_written(void **state)
{
    struct set s = make();
    struct fg_cache_forgotten out;
    struct fg_err err;
    (void)state;

    for (int whole = 0; whole < 2; whole++) {
        put_blocks(s.c, s.ch, 0, 2, BYTES);
        fg_cache_flush(s.c);
        atomic_store(&syncs_left, 0);
        fg_cache_drop(s.c, &s.ch->keys[1], false);
        fg_cache_flush(s.c);
        expect_miss(s.c, s.ch, 1);
        fg_report_damage(s.c, "so that it is read anew");
        fg_cache_flush(s.c);
        assert_int_equal(find_blocks(s.c, s.ch), 1);
        expect_miss(s.c, s.ch, 1);
        assert_int_equal(count(s.c, FG_DB_BLOCKS), 2);
        atomic_store(&syncs_left, -1);
        if (whole)
            assert_int_equal(forget(s.c, &s.ch->root, NULL, false, &out, &err), 0);
        else
            fg_cache_touch(s.c, s.ch->keys, 1);
        fg_cache_flush(s.c);
        assert_int_equal(count(s.c, FG_DB_BLOCKS), !whole);
        assert_int_equal(count(s.c, FG_DB_BLOCK_DATA), !whole);
    }
    finish(&s);
}

/* What continues a wrong block goes with it, on whichever branch it lies: stored, being written and
 * queued. What comes before it and what is put after that stay. */
static void test_below(void **state)
{
    struct set s = make();
    struct chain *first = chain_make(1, 2, 4), *branch = chain_make(3, 2, 4),
                 *late = chain_make(4, 2, 4);
    struct fg_err err;
    (void)state;

    put_blocks(s.c, first, 0, 4, BYTES);
    put_blocks(s.c, s.other, 0, 1, BYTES);
    assert_int_equal(put_state(s.c, first, 1, BYTES), 0);
    assert_int_equal(put_state(s.c, first, 3, BYTES), 0);
    fg_cache_flush(s.c);
    gate_shut();
    put_blocks(s.c, branch, 2, 3, BYTES);
    gate_wait();
    put_blocks(s.c, branch, 3, 4, BYTES);
    put_blocks(s.c, late, 2, 4, BYTES);
    fg_cache_drop(s.c, &first->keys[2], false); /* takes the last block out of the tree */
    fg_cache_drop_below(s.c, &first->keys[1], 2);
    assert_int_equal(stats(s.c).dropped_corrupt, 7);
    for (uint32_t i = 2; i < 4; i++) {
        expect_miss(s.c, first, i);
        expect_miss(s.c, branch, i);
        expect_miss(s.c, late, i);
    }
    put_blocks(s.c, late, 2, 3, BYTES);
    gate_open();
    fg_cache_flush(s.c);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(find_blocks(s.c, first), 2);
        assert_int_equal(find_blocks(s.c, branch), 2);
        assert_int_equal(find_blocks(s.c, late), 3);
        assert_int_equal(find_blocks(s.c, s.other), 1);
        assert_int_equal(stats(s.c).blocks, 4);
        assert_int_equal(stats(s.c).states, 1);
        assert_int_equal(count(s.c, FG_DB_BLOCKS), 4);
        reopen(&s);
    }
    put_blocks(s.c, first, 2, 4, BYTES);
    fg_cache_flush(s.c);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(read_one(s.c, first, i, 0, BYTES, &err), 1);
    free(first);
    free(branch);
    free(late);
    finish(&s);
}

/* Also behind one that failed. */
static int let_go(void **state)
{
    (void)state;
    gate_open();
    atomic_store(&syncs_left, -1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_queued, let_go),
        cmocka_unit_test_teardown(test_below, let_go),
        cmocka_unit_test_teardown(test_put_again, let_go),
        cmocka_unit_test_teardown(test_being_written, let_go),
        cmocka_unit_test_teardown(test_after_a_report, let_go),
        cmocka_unit_test_teardown(test_put_during_the_check, let_go),
        cmocka_unit_test_teardown(test_pieces_that_could_not_be_taken_back, let_go),
        cmocka_unit_test_teardown(test_drop_that_could_not_be_written, let_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
