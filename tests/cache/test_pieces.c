/* Records of many pieces: whole or not there, whatever happens to one of them, and wherever a kill
 * falls between two. */
#include "util.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cache/handle.h"
#include "cache/snapshot.h"

enum { PIECES = 6, BUDGET_MIB = 256 };
#define STATE_BYTES ((size_t)(PIECES - 1) * FG_RECORD_PIECE + 12345)

/* In the child: syncs that are left before it is killed. LMDB syncs the pages of a transaction,
 * then writes the meta page that makes them valid. */
static long syncs_left = -1;

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    if (syncs_left >= 0 && syncs_left-- == 0)
        kill(getpid(), SIGKILL);
    return (int)syscall(SYS_fdatasync, fd);
}

/* Values in `db`, all of which belong to records that are there when `whole`. */
static size_t count_pieces(struct fg_cache *c, enum fg_kind kind, bool whole)
{
    MDB_txn *txn;
    MDB_cursor *cur;
    MDB_val k, v, m;
    size_t n = 0;

    assert_int_equal(mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_cursor_open(txn, c->store.db[fg_data_db(kind)], &cur), 0);
    while (mdb_cursor_get(cur, &k, &v, MDB_NEXT) == 0) {
        assert_true(v.mv_size <= FG_PIECE_BYTES);
        k.mv_size = sizeof(struct fg_key);
        if (whole)
            assert_int_equal(mdb_get(txn, c->store.db[fg_meta_db(kind)], &k, &m), 0);
        n++;
    }
    mdb_cursor_close(cur);
    mdb_txn_abort(txn);
    return n;
}

static void test_round_trip(void **state)
{
    char *dir = dir_make();
    struct chain *ch = chain_make(1, 0, 4);
    struct fg_err err;
    (void)state;

    for (int run = 0; run < 2; run++) {
        struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);

        if (run == 0) {
            put_blocks(c, ch, 0, 4, FG_RECORD_PIECE + 1);
            assert_int_equal(put_state(c, ch, 3, STATE_BYTES), 0);
            assert_int_equal(read_one(c, ch, 3, 1, STATE_BYTES, &err),
                             1); /* from the queue, or not */
            fg_cache_flush(c);
        }
        assert_int_equal(count_pieces(c, FG_KIND_STATE, true), PIECES);
        assert_int_equal(count_pieces(c, FG_KIND_BLOCK, true), 8);
        assert_int_equal(read_one(c, ch, 3, 1, STATE_BYTES, &err), 1);
        assert_int_equal(read_one(c, ch, 2, 0, FG_RECORD_PIECE + 1, &err), 1);
        assert_int_equal(stats(c).state_bytes, STATE_BYTES);
        fg_cache_close(c);
    }
    free(ch);
    dir_remove(dir);
}

static void start(struct fg_cache *c, struct fg_cache_fetch *f, const struct chain *ch, uint32_t i)
{
    f->key = ch->keys[i];
    memcpy(f->tokens, chain_tokens(ch, i), sizeof f->tokens);
    fg_ticket_init(&f->ticket, NULL);
    fg_cache_fetch(c, f);
}

/* A small record that is asked for after a large one is there before it. */
static void test_served_in_turn(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
    struct chain *ch = chain_make(2, 0, 4);
    struct fg_cache_fetch large = {.is_state = true, .bytes = STATE_BYTES}, small = {.bytes = 1000};
    (void)state;

    put_blocks(c, ch, 0, 4, 1000);
    assert_int_equal(put_state(c, ch, 3, STATE_BYTES), 0);
    fg_cache_flush(c);
    start(c, &large, ch, 3);
    start(c, &small, ch, 0);
    assert_int_equal(fg_ticket_wait(&large.ticket, NULL), 0);
    assert_false(fg_ticket_pending(&small.ticket));
    assert_int_equal(fg_ticket_wait(&small.ticket, NULL), 0);
    fg_blob_unref(large.blob);
    fg_blob_unref(small.blob);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

/* Where in the file piece `number` of the state lies. */
static off_t piece_at(struct fg_cache *c, const struct fg_key *key, uint32_t number)
{
    uint8_t at[FG_PIECE_KEY_BYTES];
    MDB_val k = {sizeof at, at}, v;
    MDB_txn *txn;
    off_t off;

    fg_piece_key(key, number, at);
    assert_int_equal(mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_get(txn, c->store.db[FG_DB_STATE_DATA], &k, &v), 0);
    off = (const char *)v.mv_data - c->store.map;
    mdb_txn_abort(txn);
    return off;
}

static void flip(const char *dir, off_t at)
{
    int fd = open(path_in(dir, "data.mdb"), O_RDWR);
    uint8_t b;

    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 0x20;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

/* A bit in any piece, in its header, its payload or its last byte: the record goes, all of it. */
static void test_flip_in_any_piece(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
    struct chain *ch = chain_make(3, 0, 1);
    struct fg_err err;
    (void)state;

    put_blocks(c, ch, 0, 1, 1000);
    for (uint32_t number = 0; number < PIECES; number++) {
        size_t last = FG_HEAD_BYTES + (number < PIECES - 1 ? FG_RECORD_PIECE : 12345) - 1;
        size_t within = number % 3 == 0 ? 30 : number % 3 == 1 ? 5000 : last;

        assert_int_equal(put_state(c, ch, 0, STATE_BYTES), 0);
        fg_cache_flush(c);
        assert_int_equal(read_one(c, ch, 0, 1, STATE_BYTES, &err), 1);
        flip(dir, piece_at(c, &ch->keys[0], number) + (off_t)within);
        assert_true(fg_cache_has_state(c, &ch->keys[0])); /* payloads are not looked at */
        assert_int_equal(read_one(c, ch, 0, 1, STATE_BYTES, &err), 0);
        assert_int_equal(err.code, FG_ECORRUPT);
        assert_false(fg_cache_has_state(c, &ch->keys[0]));
        fg_cache_flush(c);
        assert_int_equal(count_pieces(c, FG_KIND_STATE, true), 0);
        assert_int_equal(stats(c).dropped_corrupt, number + 1);
    }
    assert_int_equal(find_blocks(c, ch), 1);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

/* A piece that is not there: known when the store is opened, or when it is read. */
static void test_lost_piece(void **state)
{
    char *dir = dir_make();
    struct chain *ch = chain_make(4, 0, 1);
    struct fg_err err;
    (void)state;

    for (int reopened = 0; reopened < 2; reopened++) {
        struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
        uint8_t at[FG_PIECE_KEY_BYTES];
        MDB_val k = {sizeof at, at};
        MDB_txn *txn;

        put_blocks(c, ch, 0, 1, 1000);
        assert_int_equal(put_state(c, ch, 0, STATE_BYTES), 0);
        fg_cache_flush(c);
        fg_piece_key(&ch->keys[0], PIECES - 2, at);
        assert_int_equal(mdb_txn_begin(c->store.env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_del(txn, c->store.db[FG_DB_STATE_DATA], &k, NULL), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
        atomic_fetch_add(&c->store.last_txn, 1); /* else it would be somebody else's */
        assert_int_equal(fg_snapshot_take(c), 0);
        if (reopened) {
            fg_cache_close(c);
            c = cache_open(dir, BUDGET_MIB * MIB);
        } else {
            assert_int_equal(read_one(c, ch, 0, 1, STATE_BYTES, &err), 0);
            assert_int_equal(err.code, FG_ECORRUPT);
        }
        assert_false(fg_cache_has_state(c, &ch->keys[0]));
        assert_int_equal(stats(c).dropped_corrupt, 1);
        fg_cache_flush(c);
        assert_int_equal(count_pieces(c, FG_KIND_STATE, true), 0);
        fg_cache_close(c);
    }
    free(ch);
    dir_remove(dir);
}

/* The child: a state over many transactions, killed at one of its syncs. */
static void write_and_die(const char *dir, const struct chain *ch, long syncs)
{
    struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);

    c->batch_cap = 1; /* a piece a transaction */
    syncs_left = syncs;
    put_state(c, ch, 0, STATE_BYTES);
    fg_cache_flush(c);
    syncs_left = -1;
    fg_cache_close(c);
    _exit(0);
}

static void test_killed_between_pieces(void **state)
{
    struct chain *ch = chain_make(5, 0, 1);
    int amid = 0, after = 0;
    struct fg_err err;
    (void)state;

    for (long syncs = 0; after == 0; syncs++) {
        char *dir = dir_make();
        struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
        size_t strays;
        int status;
        pid_t pid;

        put_blocks(c, ch, 0, 1, 1000);
        fg_cache_close(c);
        pid = fork();
        if (pid == 0)
            write_and_die(dir, ch, syncs);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(syncs < 100);
        c = cache_open(dir, BUDGET_MIB * MIB);
        assert_int_equal(find_blocks(c, ch), 1);
        fg_cache_flush(c);
        strays = count_pieces(c, FG_KIND_STATE, true); /* all there are belong to a record */
        if (WIFSIGNALED(status)) {
            amid += syncs > 0;
            assert_int_equal(strays, 0);
            assert_false(fg_cache_has_state(c, &ch->keys[0]));
            assert_int_equal(put_state(c, ch, 0, STATE_BYTES), 0); /* it can come again */
            fg_cache_flush(c);
        } else {
            assert_int_equal(status, 0);
            after++;
        }
        assert_int_equal(read_one(c, ch, 0, 1, STATE_BYTES, &err), 1);
        assert_int_equal(stats(c).dropped_corrupt, 0);
        assert_int_equal(stats(c).write_errors, 0);
        fg_cache_close(c);
        dir_remove(dir);
    }
    assert_true(amid >=
                PIECES - 1); /* it was killed behind each of the transactions but the last */
    free(ch);
}

/* Large states one after the other in a budget that holds few: each finds room. */
static void test_evicted_by_pieces(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct fg_err err;
    (void)state;

    for (uint64_t i = 0; i < 20; i++) {
        struct chain *ch = chain_make(100 + i, 0, 1);
        size_t n = STATE_BYTES - (size_t)i * 700000;

        put_blocks(c, ch, 0, 1, 1000);
        assert_int_equal(put_state(c, ch, 0, n), 0);
        fg_cache_flush(c);
        assert_int_equal(read_one(c, ch, 0, 1, n, &err), 1);
        free(ch);
    }
    assert_true(stats(c).evicted > 10);
    assert_int_equal(stats(c).dropped_full + stats(c).write_errors, 0);
    assert_true(stats(c).file_bytes <= 64 * MIB + 8 * MIB + 64 * 4096);
    count_pieces(c, FG_KIND_STATE, true);
    fg_cache_close(c);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_served_in_turn),
        cmocka_unit_test(test_flip_in_any_piece),
        cmocka_unit_test(test_lost_piece),
        cmocka_unit_test(test_killed_between_pieces),
        cmocka_unit_test(test_evicted_by_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
