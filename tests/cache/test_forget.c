/* Forget: what goes, what stays, and that nothing of it is left in the file: also not after a
 * SIGKILL between the deletion and the overwriting, or at any other moment. */
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cache/batch.h"
#include "cache/handle.h"
#include "cache/put_queue.h"

enum { BYTES = 5000, STATE_BYTES = 9000, SHARED = 3, N = 8 };

struct bytes {
    uint8_t *p;
    size_t n;
};

static struct bytes slurp(const char *dir)
{
    FILE *f = fopen(path_in(dir, "data.mdb"), "rb");
    struct bytes b;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    b.n = (size_t)ftell(f);
    b.p = malloc(b.n);
    rewind(f);
    assert_int_equal(fread(b.p, 1, b.n, f), b.n);
    fclose(f);
    return b;
}

/* Whether anything of block i is in the file: some of its tokens, of its payload, of its state. */
static bool traces(const struct bytes *b, const struct chain *ch, uint32_t i)
{
    uint8_t *block = payload_make(&ch->keys[i], 0, BYTES);
    uint8_t *state = payload_make(&ch->keys[i], 1, STATE_BYTES);
    bool any = false;

    for (int j = 0; j < FG_BLOCK_TOKENS; j += 8)
        any = any || memmem(b->p, b->n, chain_tokens(ch, i) + j, 32);
    for (int j = 0; j + 32 <= BYTES; j += 1000)
        any = any || memmem(b->p, b->n, block + j, 32);
    for (int j = 0; j + 32 <= STATE_BYTES; j += 1000)
        any = any || memmem(b->p, b->n, state + j, 32);
    free(block);
    free(state);
    return any;
}

static void expect_traces(const char *dir, const struct chain *ch, uint32_t from, uint32_t to,
                          bool wanted)
{
    struct bytes b = slurp(dir);

    for (uint32_t i = from; i < to; i++)
        if (traces(&b, ch, i) != wanted)
            fail_msg("block %u: %s", i, wanted ? "nothing of it" : "something of it is left");
    free(b.p);
}

struct set {
    char *dir;
    struct fg_cache *c;
    struct chain *a, *b, *other; /* a and b begin alike; other has another root */
    struct fg_key roots[1];
};

static void note(struct fg_cache *c, const struct fg_key *key)
{
    struct fg_cache_root r = {.key = *key, .name = "m"};

    fg_cache_note_root(c, &r);
}

static struct chain *other_chain(void)
{
    struct chain *ch = chain_make(77, 0, N);

    memset(&ch->root, 0x77, sizeof ch->root);
    for (uint32_t i = 0; i < N; i++)
        ch->keys[i] = fg_key_next(i ? &ch->keys[i - 1] : &ch->root, chain_tokens(ch, i));
    return ch;
}

/* Old copies of pages, rests in gaps: what a store looks like that has been in use. */
static void fill(struct set *s)
{
    note(s->c, &s->a->root);
    note(s->c, &s->other->root);
    for (uint32_t i = 0; i < N; i++) {
        put_block(s->c, s->a, i, BYTES);
        put_block(s->c, s->other, i, BYTES);
        if (i >= SHARED)
            put_block(s->c, s->b, i, BYTES);
        put_state(s->c, s->a, i, STATE_BYTES);
        if (i % 3 == 0)
            put_state(s->c, s->other, i, STATE_BYTES);
        fg_cache_flush(s->c);
        fg_cache_touch(s->c, s->a->keys, i);
        fg_cache_flush(s->c);
    }
    put_state(s->c, s->b, N - 1, STATE_BYTES);
    fg_cache_flush(s->c);
}

static struct set make(void)
{
    struct set s = {.dir = dir_make()};

    s.c = cache_open(s.dir, 16 * MIB);
    s.a = chain_make(1, SHARED, N);
    s.b = chain_make(2, SHARED, N);
    s.other = other_chain();
    s.roots[0] = s.a->root;
    fill(&s);
    return s;
}

static void finish(struct set *s)
{
    fg_cache_close(s->c);
    free(s->a);
    free(s->b);
    free(s->other);
    dir_remove(s->dir);
}

static void test_list(void **state)
{
    struct set s = make();
    struct fg_cache_entry rows[8];
    struct fg_cache_listing list = {.rows = rows, .max = 8};
    (void)state;

    fg_cache_touch(s.c, s.b->keys, N);
    fg_cache_touch(s.c, s.a->keys, N);
    assert_int_equal(fg_cache_list(s.c, s.roots, 1, &list), 0);
    assert_int_equal(list.n, 3);
    assert_int_equal(list.total, 3);
    /* The first blocks of a prompt count as the latest used. */
    assert_memory_equal(&rows[0].key, &s.a->keys[SHARED - 1], 16);
    assert_false(rows[0].leaf);
    assert_int_equal(rows[0].blocks, SHARED);
    assert_int_equal(rows[0].own_bytes, 0);
    assert_memory_equal(&rows[1].key, &s.a->keys[N - 1], 16);
    assert_true(rows[1].leaf);
    assert_memory_equal(&rows[1].root, &s.a->root, 16);
    assert_int_equal(rows[1].blocks, N);
    assert_int_equal(rows[1].states, N);
    assert_int_equal(rows[1].bytes, N * (BYTES + STATE_BYTES));
    assert_int_equal(rows[1].own_bytes, (N - SHARED) * (BYTES + STATE_BYTES));
    assert_memory_equal(&rows[2].key, &s.b->keys[N - 1], 16);
    assert_int_equal(rows[2].states, SHARED + 1);
    assert_true(rows[2].newer > rows[1].newer);
    list.max = 1;
    assert_int_equal(fg_cache_list(s.c, s.roots, 1, &list), 0);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.total, 3);
    finish(&s);
}

static void hex(const struct fg_key *key, char out[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", key->b[i]);
}

static void test_ids(void **state)
{
    struct set s = make();
    struct fg_cache_path path;
    struct fg_key key;
    struct fg_err err;
    char id[33];
    (void)state;

    hex(&s.a->keys[N - 1], id);
    assert_int_equal(fg_cache_resolve(s.c, s.roots, 1, id, &key, &err), 0);
    assert_memory_equal(&key, &s.a->keys[N - 1], 16);
    id[8] = '\0';
    assert_int_equal(fg_cache_resolve(s.c, s.roots, 1, id, &key, &err), 0);
    assert_memory_equal(&key, &s.a->keys[N - 1], 16);
    assert_int_equal(fg_cache_path(s.c, &key, &path, &err), 0);
    assert_int_equal(path.n, N);
    assert_memory_equal(&path.root, &s.a->root, 16);
    assert_memory_equal(path.tokens, s.a->tokens, N * 64 * sizeof(int32_t));
    assert_memory_equal(path.keys, s.a->keys, N * 16);
    assert_true(path.has_state[0]);
    fg_cache_path_finish(&path);
    /* Another root's, no digits, too many, more than one. */
    hex(&s.other->keys[0], id);
    assert_int_equal(fg_cache_resolve(s.c, s.roots, 1, id, &key, &err), FG_ENOTFOUND);
    assert_int_equal(fg_cache_resolve(s.c, s.roots, 1, "", &key, &err), FG_EINVAL);
    assert_int_equal(fg_cache_resolve(s.c, s.roots, 1, "12g4", &key, &err), FG_EINVAL);
    assert_int_equal(
        fg_cache_resolve(s.c, s.roots, 1, "123456789012345678901234567890123", &key, &err),
        FG_EINVAL);
    finish(&s);
}

static void test_from_a_block_on(void **state)
{
    struct set s = make();
    struct fg_cache_forgotten out;
    struct fg_err err;
    (void)state;

    expect_traces(s.dir, s.a, 0, N, true);
    assert_int_equal(forget(s.c, s.roots, &s.a->keys[5], false, &out, &err), 0);
    assert_int_equal(out.blocks, N - 5);
    assert_int_equal(out.states, N - 5);
    assert_int_equal(out.bytes, (N - 5) * (BYTES + STATE_BYTES));
    assert_int_equal(find_blocks(s.c, s.a), 5);
    assert_int_equal(find_blocks(s.c, s.b), N);
    expect_traces(s.dir, s.a, 5, N, false);
    expect_traces(s.dir, s.a, 0, 5, true);
    assert_int_equal(stats(s.c).evicted, 0);
    /* Again, and what another root has. */
    assert_int_equal(forget(s.c, s.roots, &s.a->keys[5], false, &out, &err), FG_ENOTFOUND);
    assert_int_equal(forget(s.c, s.roots, &s.other->keys[2], true, &out, &err), FG_ENOTFOUND);
    assert_int_equal(find_blocks(s.c, s.other), N);
    /* It can come again. */
    put_blocks(s.c, s.a, 5, N, BYTES);
    fg_cache_flush(s.c);
    assert_int_equal(find_blocks(s.c, s.a), N);
    finish(&s);
}

static void test_back_to_where_it_parts(void **state)
{
    struct set s = make();
    struct fg_cache_forgotten out;
    struct fg_err err;
    (void)state;

    assert_int_equal(forget(s.c, s.roots, &s.a->keys[N - 1], true, &out, &err), 0);
    assert_int_equal(out.blocks, N - SHARED);
    assert_int_equal(find_blocks(s.c, s.a), SHARED);
    assert_int_equal(find_blocks(s.c, s.b), N);
    expect_traces(s.dir, s.a, SHARED, N, false);
    assert_int_equal(forget(s.c, s.roots, &s.b->keys[N - 1], true, &out, &err), 0);
    assert_int_equal(out.blocks, N);
    expect_traces(s.dir, s.b, 0, N, false);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(read_one(s.c, s.other, i, 0, BYTES, &err), 1);
    finish(&s);
}

static void test_all_of_a_root(void **state)
{
    struct set s = make();
    struct fg_cache_forgotten out;
    struct fg_cache_root roots[4];
    struct fg_err err;
    FILE *f;
    (void)state;

    f = fopen(path_in(s.dir, "data.mdb.damaged-3"), "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(fg_cache_roots(s.c, roots, 4), 2);
    assert_int_equal(forget(s.c, s.roots, NULL, false, &out, &err), 0);
    assert_int_equal(out.blocks, 2 * N - SHARED);
    assert_int_equal(out.states, N + 1);
    expect_traces(s.dir, s.a, 0, N, false);
    expect_traces(s.dir, s.b, SHARED, N, false);
    assert_int_equal(fg_cache_roots(s.c, roots, 4), 1);
    assert_memory_equal(&roots[0].key, &s.other->root, 16);
    assert_int_not_equal(access(path_in(s.dir, "data.mdb.damaged-3"), F_OK), 0);
    assert_int_equal(find_blocks(s.c, s.other), N);
    /* What is written afterwards brings nothing back: page memory is used again. */
    for (int i = 0; i < 20; i++) {
        fg_cache_touch(s.c, s.other->keys, N);
        put_state(s.c, s.other, (uint32_t)i % N, STATE_BYTES);
        fg_cache_flush(s.c);
    }
    expect_traces(s.dir, s.a, 0, N, false);
    fg_cache_close(s.c);
    s.c = cache_open(s.dir, 16 * MIB);
    assert_int_equal(find_blocks(s.c, s.other), N);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(read_one(s.c, s.other, i, 0, BYTES, &err), 1);
    finish(&s);
}

static void test_what_a_lost_block_leaves(void **state)
{
    struct set s = make();
    struct fg_cache_forgotten out;
    struct fg_err err;
    (void)state;

    fg_report_corrupt(s.c, FG_KIND_BLOCK, &s.a->keys[1], true);
    fg_cache_flush(s.c);
    assert_int_equal(find_blocks(s.c, s.a), 1);
    assert_int_equal(forget(s.c, s.roots, NULL, false, &out, &err), 0);
    expect_traces(s.dir, s.a, 0, N, false);
    expect_traces(s.dir, s.b, SHARED, N, false);
    assert_int_equal(find_blocks(s.c, s.other), N);
    finish(&s);
}

static bool kill_at_read, fail_zeros;
static atomic_uint failed_zeros;

/* What overwrites writes nothing but zeros; a page of LMDB's begins with its number. */
ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    static const char zeros[16];

    if (fail_zeros && memcmp(buf, zeros, n < sizeof zeros ? n : sizeof zeros) == 0) {
        failed_zeros++;
        errno = EIO;
        return -1;
    }
    return (ssize_t)syscall(SYS_pwrite64, fd, buf, n, at);
}

/* Before anything is overwritten the file is read with this. */
ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    if (kill_at_read)
        kill(getpid(), SIGKILL);
    return (ssize_t)syscall(SYS_pread64, fd, buf, n, at);
}

static void test_killed_before_overwriting(void **state)
{
    struct set s = make();
    struct fg_err err;
    int status;
    pid_t pid;
    (void)state;

    fg_cache_close(s.c);
    pid = fork();
    if (pid == 0) {
        struct fg_cache_forgotten out;
        struct fg_cache *c = cache_open(s.dir, 16 * MIB);

        kill_at_read = true;
        forget(c, s.roots, NULL, false, &out, &err);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    expect_traces(s.dir, s.a, 0, 1, true); /* so that the test is one */
    s.c = cache_open(s.dir, 16 * MIB);
    fg_cache_flush(s.c);
    fg_cache_flush(s.c);
    expect_traces(s.dir, s.a, 0, N, false);
    expect_traces(s.dir, s.b, SHARED, N, false);
    assert_int_equal(find_blocks(s.c, s.other), N);
    assert_false(s.c->writer.unscrubbed);
    finish(&s);
}

/* The writer is woken often; what it cannot overwrite it does not try each time. */
static void test_overwriting_that_fails(void **state)
{
    enum { WAKES = 200, MOST = 11 /* in 100 seconds */ };
    struct set s = make();
    struct fg_cache_forgotten out;
    struct fg_err err;
    (void)state;

    fail_zeros = true;
    assert_int_equal(forget(s.c, s.roots, NULL, false, &out, &err), FG_EIO);
    assert_non_null(strstr(err.text, "overwriting what was removed"));
    assert_int_equal(failed_zeros, 1);
    for (int i = 0; i < WAKES; i++)
        fg_cache_flush(s.c);
    assert_in_range(failed_zeros, 2, MOST); /* once more at once */
    assert_true(s.c->writer.unscrubbed);
    fail_zeros = false;
    s.c->writer.scrub.at = 0; /* time has passed; the writer sleeps */
    fg_cache_flush(s.c);
    fg_cache_flush(s.c);
    assert_false(s.c->writer.unscrubbed);
    assert_int_equal(s.c->writer.scrub.failures, 0);
    expect_traces(s.dir, s.a, 0, N, false);
    assert_int_equal(find_blocks(s.c, s.other), N);
    finish(&s);
}

static void forget_until_killed(const char *dir, const struct fg_key *roots)
{
    struct fg_cache_forgotten out;
    struct fg_cache *c = cache_open(dir, 16 * MIB);

    forget(c, roots, NULL, false, &out, NULL);
    for (;;)
        pause();
}

static void test_killed_anywhere(void **state)
{
    int rounds = soak() ? 200 : 20;
    (void)state;

    for (int i = 0; i < rounds; i++) {
        struct set s = make();
        int status;
        pid_t pid;

        fg_cache_close(s.c);
        pid = fork();
        if (pid == 0)
            forget_until_killed(s.dir, s.roots);
        usleep((useconds_t)(i * 40000 / rounds)); /* the moment itself */
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        s.c = cache_open(s.dir, 16 * MIB);
        fg_cache_flush(s.c);
        fg_cache_flush(s.c);
        /* A block goes after what continues it: what is not found is not there. */
        expect_traces(s.dir, s.a, find_blocks(s.c, s.a), N, false);
        assert_int_equal(find_blocks(s.c, s.other), N);
        finish(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_from_a_block_on),
        cmocka_unit_test(test_back_to_where_it_parts),
        cmocka_unit_test(test_all_of_a_root),
        cmocka_unit_test(test_what_a_lost_block_leaves),
        cmocka_unit_test(test_overwriting_that_fails),
        cmocka_unit_test(test_killed_before_overwriting),
        cmocka_unit_test(test_killed_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
