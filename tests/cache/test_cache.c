/* The store as its callers see it: put, find, read, restart. */
#include "gate.h"
#include "util.h"

#include <sys/syscall.h>

#include "cache/handle.h"

enum { BYTES = 5000, STATE_BYTES = 70001 };

/* The writer syncs each transaction. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    gate_pass();
    return (int)syscall(SYS_fdatasync, fd);
}

static void test_round_trip_and_restart(void **state)
{
    char *dir = dir_make();
    struct chain *ch = chain_make(1, 0, 40);
    struct fg_cache_stats s;
    struct fg_err err;
    struct stat st;
    (void)state;

    for (int run = 0; run < 3; run++) {
        struct fg_cache *c = cache_open(dir, 64 * MIB);

        if (run == 0) {
            put_blocks(c, ch, 0, 40, BYTES);
            assert_int_equal(put_state(c, ch, 19, STATE_BYTES), 0);
            assert_true(fg_cache_has_block(c, &ch->keys[39]));
            assert_true(fg_cache_has_state(c, &ch->keys[19]));
            fg_cache_flush(c);
        }
        assert_int_equal(find_blocks(c, ch), 40);
        for (uint32_t i = 0; i < 40; i++)
            assert_int_equal(read_one(c, ch, i, 0, BYTES, &err), 1);
        assert_int_equal(read_one(c, ch, 19, 1, STATE_BYTES, &err), 1);
        assert_int_equal(read_one(c, ch, 20, 1, STATE_BYTES, &err), 0);
        assert_false(fg_cache_has_state(c, &ch->keys[20]));
        s = stats(c);
        assert_int_equal(s.blocks, 40);
        assert_int_equal(s.states, 1);
        assert_int_equal(s.block_bytes, 40 * BYTES);
        assert_int_equal(s.state_bytes, STATE_BYTES);
        assert_int_equal(s.queued_bytes, 0);
        assert_int_equal(s.hits_blocks, 40);
        assert_int_equal(s.hits_states, 1);
        assert_int_equal(s.bytes_written, run ? 0 : 40 * BYTES + STATE_BYTES);
        assert_int_equal(s.dropped_corrupt + s.dropped_full + s.dropped_orphan + s.write_errors, 0);
        assert_int_equal(s.max_bytes, 64 * MIB);
        assert_int_equal(stat(path_in(dir, "data.mdb"), &st), 0);
        assert_int_equal(s.file_bytes, st.st_size);
        assert_int_equal(st.st_mode & 0777, 0600);
        fg_cache_close(c);
    }
    assert_int_equal(stat(path_in(dir, "lock"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(ch);
    dir_remove(dir);
}

/* Every size class: in one page, at its edge, over it, a real KV block's. */
static void test_sizes(void **state)
{
    static const size_t sizes[] = {1, 7, 2000, 3711, 3712, 3713, 4096, 65536, 2621440};
    enum { N = sizeof sizes / sizeof sizes[0] };
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = chain_make(2, 0, N);
    struct fg_err err;
    (void)state;

    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(put_block(c, ch, i, sizes[i]), 0);
        assert_int_equal(put_state(c, ch, i, sizes[N - 1 - i]), 0);
    }
    fg_cache_flush(c);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(read_one(c, ch, i, 0, sizes[i], &err), 1);
        assert_int_equal(read_one(c, ch, i, 1, sizes[N - 1 - i], &err), 1);
    }
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

static void test_find(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = chain_make(3, 10, 30), *fork = chain_make(4, 10, 30);
    (void)state;

    assert_int_equal(find_blocks(c, ch), 0);
    put_blocks(c, ch, 0, 20, 100);
    assert_int_equal(put_state(c, ch, 4, 100), 0);
    assert_int_equal(put_state(c, ch, 14, 100), 0);
    fg_cache_flush(c);
    assert_int_equal(find(c, ch, 30, false), 20);
    assert_int_equal(find(c, ch, 30, true), 15);
    assert_int_equal(find(c, ch, 14, false), 14);
    assert_int_equal(find(c, ch, 14, true), 5);
    assert_int_equal(find(c, ch, 4, false), 4);
    assert_int_equal(find(c, ch, 4, true), 0);
    assert_int_equal(find(c, ch, 0, true), 0);
    assert_int_equal(find_blocks(c, fork), 10); /* a prompt that parts from it after 10 */
    assert_int_equal(find(c, fork, 30, true), 5);
    fg_cache_close(c);
    free(ch);
    free(fork);
    dir_remove(dir);
}

/* A key that other tokens hash to: found by xxHash, refused by the tokens, and left in place. */
static void test_collision_is_a_miss(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = chain_make(5, 0, 6);
    struct fg_err err;
    (void)state;

    put_blocks(c, ch, 0, 6, 100);
    assert_int_equal(put_state(c, ch, 3, 100), 0);
    fg_cache_flush(c);
    ch->tokens[3 * FG_BLOCK_TOKENS + 63] ^= 1;
    assert_int_equal(find_blocks(c, ch), 6); /* tokens are compared when a record is read */
    assert_int_equal(read_one(c, ch, 3, 0, 100, &err), 0);
    assert_int_equal(err.code, FG_ENOTFOUND);
    assert_int_equal(read_one(c, ch, 3, 1, 100, &err), 0);
    assert_int_equal(err.code, FG_ENOTFOUND);
    ch->tokens[3 * FG_BLOCK_TOKENS + 63] ^= 1;
    assert_int_equal(find_blocks(c, ch), 6);
    assert_int_equal(read_one(c, ch, 3, 1, 100, &err), 1);
    assert_int_equal(stats(c).dropped_corrupt, 0);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

static void test_wrong_size_is_dropped(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = chain_make(6, 0, 3);
    struct fg_err err;
    (void)state;

    put_blocks(c, ch, 0, 3, 100);
    fg_cache_flush(c);
    assert_int_equal(read_one(c, ch, 1, 0, 101, &err), 0);
    assert_int_equal(err.code, FG_ECORRUPT);
    assert_int_equal(find_blocks(c, ch), 1); /* at once, though not yet deleted */
    assert_false(fg_cache_has_block(c, &ch->keys[1]));
    assert_int_equal(put_block(c, ch, 1, 200), 0);
    fg_cache_flush(c);
    assert_int_equal(read_one(c, ch, 1, 0, 200, &err), 1);
    assert_int_equal(find_blocks(c, ch), 3); /* the chain is whole again */
    assert_int_equal(stats(c).dropped_corrupt, 1);
    assert_int_equal(stats(c).blocks, 3);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

static void test_orphans_and_duplicates(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = chain_make(7, 0, 10);
    struct fg_cache_stats s;
    (void)state;

    put_blocks(c, ch, 0, 2, 100);
    put_blocks(c, ch, 3, 5, 100);                  /* block 2 is missing */
    assert_int_equal(put_state(c, ch, 8, 100), 0); /* its block is */
    put_blocks(c, ch, 0, 2, 100);
    fg_cache_flush(c);
    s = stats(c);
    assert_int_equal(s.blocks, 2);
    assert_int_equal(s.states, 0);
    assert_int_equal(s.dropped_orphan, 3);
    assert_int_equal(s.bytes_written, 200);
    assert_false(fg_cache_has_block(c, &ch->keys[3]));
    assert_false(fg_cache_has_state(c, &ch->keys[8]));
    put_blocks(c, ch, 0, 6, 100); /* two of them again */
    fg_cache_flush(c);
    s = stats(c);
    assert_int_equal(s.blocks, 6);
    assert_int_equal(s.bytes_written, 600);
    assert_int_equal(s.queued_bytes, 0);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

static void test_bad_arguments(void **state)
{
    char *dir = dir_make();
    struct fg_cache_options opt = {.dir = dir, .max_bytes = MIB - 1};
    struct fg_cache *c;
    struct chain *ch = chain_make(8, 0, 2);
    struct fg_cache_put p;
    struct fg_err err;
    (void)state;

    assert_int_equal(fg_cache_open(&opt, &c, &err), FG_EINVAL);
    assert_null(c);
    opt.max_bytes = UINT64_MAX;
    assert_int_equal(fg_cache_open(&opt, &c, &err), FG_EINVAL);
    opt = (struct fg_cache_options){.dir = "", .max_bytes = MIB};
    assert_int_equal(fg_cache_open(&opt, &c, &err), FG_EINVAL);
    fg_cache_close(NULL);
    c = cache_open(dir, MIB);
    p = (struct fg_cache_put){.key = &ch->keys[0], .tokens = ch->tokens, .parent = &ch->root};
    assert_int_equal(fg_cache_put(c, &p), FG_EINVAL); /* no payload */
    p.parent = NULL;
    p.blob = fg_blob_create(9);
    assert_int_equal(fg_cache_put(c, &p), FG_EINVAL);
    fg_blob_unref(p.blob);
    assert_int_equal(put_block(c, ch, 0, MIB), FG_EFULL); /* over the budget alone */
    assert_int_equal(stats(c).dropped_full, 1);
    assert_false(fg_cache_has_block(c, &ch->keys[0]));
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

/* While the writer is held up: the queue has an end, and puts do not wait. */
static void test_queue_cap(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = chain_make(9, 0, 40);
    struct fg_err err;
    (void)state;

    gate_shut();
    c->queue.cap = 100000;
    put_blocks(c, ch, 0, 10, 10000);
    assert_int_equal(put_block(c, ch, 10, 10000), FG_EBUSY);
    assert_int_equal(stats(c).dropped_queue, 1);
    assert_int_equal(stats(c).queued_bytes, 100000);
    assert_true(fg_cache_has_block(c, &ch->keys[9]));
    assert_false(fg_cache_has_block(c, &ch->keys[10]));
    assert_int_equal(stats(c).blocks, 0); /* nothing is stored; what is queued is readable */
    assert_int_equal(find_blocks(c, ch), 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(read_one(c, ch, i, 0, 10000, &err), 1);
    assert_int_equal(read_one(c, ch, 3, 0, 10001, &err), 0); /* in another size: not this one */
    assert_int_equal(err.code, FG_ENOTFOUND);
    assert_int_equal(put_block(c, ch, 3, 10000), 0);  /* queued already: no room needed */
    assert_int_equal(put_state(c, ch, 9, 300000), 0); /* one that is larger gets its turn */
    gate_open();
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, ch), 10);
    assert_true(fg_cache_has_state(c, &ch->keys[9]));
    assert_int_equal(stats(c).queued_bytes, 0);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

/* What was queued when the cache closes is written. */
static void test_close_writes_queue(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = chain_make(10, 0, 100);
    (void)state;

    put_blocks(c, ch, 0, 100, 20000);
    fg_cache_close(c);
    c = cache_open(dir, 64 * MIB);
    assert_int_equal(find_blocks(c, ch), 100);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

/* What was fetched stays, whatever is evicted meanwhile. */
static void test_blob_outlives_record(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *ch = chain_make(11, 0, 10), *other = chain_make(12, 0, 400);
    struct fg_cache_fetch f = {.key = ch->keys[9], .bytes = 20000};
    struct fg_err err;
    size_t n;
    (void)state;

    put_blocks(c, ch, 0, 10, 20000);
    fg_cache_flush(c);
    memcpy(f.tokens, chain_tokens(ch, 9), sizeof f.tokens);
    assert_int_equal(fg_cache_get(c, &f, &err), 0);
    put_blocks(c, other, 0, 400, 10000);
    fg_cache_flush(c);
    assert_false(fg_cache_has_block(c, &ch->keys[9]));
    assert_int_equal(read_one(c, ch, 9, 0, 20000, &err), 0);
    assert_true(payload_is(&ch->keys[9], 0, fg_blob_piece(f.blob, 0, &n), 20000));
    fg_cache_close(c);
    fg_blob_unref(f.blob);
    free(ch);
    free(other);
    dir_remove(dir);
}

static void note_call(void *ctx)
{
    ++*(int *)ctx;
}

/* Many at once, some of them canceled: every ticket ends, with the bytes or a reason. */
static void test_fetches_and_calls(void **state)
{
    enum { N = 40 };
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = chain_make(13, 0, N);
    struct fg_cache_fetch f[N] = {0};
    struct fg_cache_call call;
    int calls = 0;
    (void)state;

    put_blocks(c, ch, 0, N - 1, 50000);
    fg_cache_flush(c);
    for (uint32_t i = 0; i < N; i++) {
        f[i].key = ch->keys[i];
        f[i].bytes = 50000;
        memcpy(f[i].tokens, chain_tokens(ch, i), sizeof f[i].tokens);
        fg_ticket_init(&f[i].ticket, NULL);
        fg_cache_fetch(c, &f[i]);
    }
    call = (struct fg_cache_call){.run = note_call, .ctx = &calls};
    fg_ticket_init(&call.ticket, NULL);
    fg_cache_on_reader(c, &call);
    for (uint32_t i = 0; i < N; i += 3)
        fg_cache_fetch_cancel(c, &f[i]);
    for (uint32_t i = 0; i < N; i++) {
        int rc = fg_ticket_wait(&f[i].ticket, NULL);
        size_t n;

        if (i == N - 1)
            assert_true(rc == FG_ENOTFOUND || rc == FG_ECANCELED);
        else if (i % 3)
            assert_int_equal(rc, 0);
        else
            assert_true(rc == 0 || rc == FG_ECANCELED);
        if (rc == 0)
            assert_true(payload_is(&ch->keys[i], 0, fg_blob_piece(f[i].blob, 0, &n), 50000));
        else
            assert_null(f[i].blob);
        fg_blob_unref(f[i].blob);
        fg_cache_fetch_cancel(c, &f[i]); /* after the end it does nothing */
        fg_ticket_finish(&f[i].ticket);
    }
    assert_int_equal(fg_ticket_wait(&call.ticket, NULL), 0);
    assert_int_equal(calls, 1);
    fg_ticket_finish(&call.ticket);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_and_restart),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_collision_is_a_miss),
        cmocka_unit_test(test_wrong_size_is_dropped),
        cmocka_unit_test(test_orphans_and_duplicates),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_queue_cap),
        cmocka_unit_test(test_close_writes_queue),
        cmocka_unit_test(test_blob_outlives_record),
        cmocka_unit_test(test_fetches_and_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
