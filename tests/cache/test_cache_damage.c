/* Flipped bits and torn files: whatever the place, no crash and no wrong payload; the worst is an
 * empty cache. Each trial runs in a child process, so that a crash is seen as one. */
#include "util.h"

#include <errno.h>
#include <sys/wait.h>

#include "cache/handle.h"

enum { BLOCKS = 150, BUDGET_MIB = 16 };

static size_t bytes_of(uint32_t i)
{
    return i % 10 == 0 ? 30000 : 100 + i * 13;
}

/* A store with two levels of pages, deleted records and a used free list. */
static char *make_store(const struct chain *ch)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
    struct chain *gone = chain_make(77, 0, BLOCKS);
    struct fg_err err;

    for (uint32_t i = 0; i < BLOCKS; i++) {
        assert_int_equal(put_block(c, gone, i, 2000), 0);
        assert_int_equal(put_block(c, ch, i, bytes_of(i)), 0);
        if (i % 5 == 0)
            assert_int_equal(put_state(c, ch, i, 2 * bytes_of(i)), 0);
        if (i % 30 == 0)
            fg_cache_flush(c);
    }
    fg_cache_flush(c);
    for (uint32_t i = 0; i < BLOCKS; i += 2) /* another size than was put: dropped */
        assert_int_equal(read_one(c, gone, i, 0, 1, &err), 0);
    fg_cache_close(c);
    free(gone);
    return dir;
}

static uint8_t *slurp(const char *path, size_t *n)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    uint8_t *p;

    assert_int_equal(fstat(fd, &st), 0);
    *n = (size_t)st.st_size;
    p = malloc(*n);
    assert_non_null(p);
    assert_int_equal(read(fd, p, *n), *n);
    close(fd);
    return p;
}

static void spill(const char *path, const uint8_t *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

/* Reads everything. Hits counted; false when a payload was wrong. */
static bool read_all(struct fg_cache *c, const struct chain *ch, int *hits)
{
    struct fg_err err;
    bool right = true;

    *hits = 0;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        int a = read_one(c, ch, i, 0, bytes_of(i), &err);
        int b = i % 5 == 0 ? read_one(c, ch, i, 1, 2 * bytes_of(i), &err) : 0;

        right = right && a >= 0 && b >= 0;
        *hits += (a > 0) + (b > 0);
    }
    return right;
}

/* The child: opens, reads, heals the cache by putting all again, reopens. 0 or what went wrong. */
static int trial(const char *dir, const struct chain *ch, int *hits)
{
    struct fg_cache_options opt = {.dir = dir, .max_bytes = BUDGET_MIB * MIB};
    struct fg_cache *c;

    for (int run = 0; run < 2; run++) {
        int healed = 0;

        if (fg_cache_open(&opt, &c, NULL))
            return 10;
        if (!read_all(c, ch, run ? &healed : hits))
            return 11;
        /* The first round may meet damaged pages and begin anew. */
        for (int round = 0; round < 3 && healed != BLOCKS + BLOCKS / 5; round++) {
            if (round) /* where reopening failed it is not tried again for 0.1 s */
                nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
            for (uint32_t i = 0; i < BLOCKS; i++) {
                put_block(c, ch, i, bytes_of(i));
                if (i % 5 == 0)
                    put_state(c, ch, i, 2 * bytes_of(i));
            }
            fg_cache_flush(c);
            if (!read_all(c, ch, &healed))
                return 12;
        }
        if (healed != BLOCKS + BLOCKS / 5)
            return 13;
        fg_cache_close(c);
    }
    return 0;
}

/* Runs it in a child; returns how many records survived the damage. */
static int run_trial(const char *dir, const struct chain *ch, const char *what)
{
    int fd[2], status, hits = -1;
    pid_t pid;

    assert_int_equal(pipe(fd), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int rc = trial(dir, ch, &hits);

        if (write(fd[1], &hits, sizeof hits) != sizeof hits)
            rc = 20;
        _exit(rc);
    }
    close(fd[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: status %#x", what, (unsigned)status);
    assert_int_equal(read(fd[0], &hits, sizeof hits), sizeof hits);
    close(fd[0]);
    return hits;
}

static void remove_aside(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)))
        if (strstr(e->d_name, ".damaged-")) {
            unlink(path_in(dir, e->d_name));
            n++;
        }
    closedir(d);
    assert_true(n <= 1); /* only the newest is kept */
}

/* Half of the flips go anywhere, half to the pages that LMDB trusts. */
static size_t pick_byte(const uint8_t *p, size_t n, uint64_t *s)
{
    bool structure = mix(s) % 2;

    for (;;) {
        size_t at = mix(s) % n;
        uint16_t flags;

        memcpy(&flags, p + at / 4096 * 4096 + 10, sizeof flags);
        if (!structure || (flags & (1 | 2 | 8) && flags < 16))
            return at;
    }
}

static void test_flipped_bits(void **state)
{
    static const int flips[] = {1, 1, 1, 2, 8, 300};
    struct chain *ch = chain_make(1, 0, BLOCKS);
    char *dir = make_store(ch);
    const char *path = path_in(dir, "data.mdb");
    char data[4200];
    size_t n;
    uint8_t *good, *bad;
    uint64_t s = 12345;
    int partial = 0, full = 0;
    (void)state;

    snprintf(data, sizeof data, "%s", path);
    good = slurp(data, &n);
    bad = malloc(n);
    for (int t = 0; t < (soak() ? 10000 : 300); t++) {
        char what[64];
        int hits;

        memcpy(bad, good, n);
        for (int f = flips[t % 6]; f > 0; f--)
            bad[pick_byte(bad, n, &s)] ^= (uint8_t)(1u << (mix(&s) % 8));
        spill(data, bad, n);
        snprintf(what, sizeof what, "trial %d", t);
        hits = run_trial(dir, ch, what);
        full += hits == BLOCKS + BLOCKS / 5;
        partial += hits > 0 && hits < BLOCKS + BLOCKS / 5;
        remove_aside(dir);
    }
    /* The trials tell something only when damage was met in all its forms. */
    assert_true(full > 10 && partial > 10);
    free(good);
    free(bad);
    free(ch);
    dir_remove(dir);
}

static void test_truncated(void **state)
{
    struct chain *ch = chain_make(1, 0, BLOCKS);
    char *dir = make_store(ch), data[4200];
    size_t n;
    uint8_t *good;
    uint64_t s = 777;
    (void)state;

    snprintf(data, sizeof data, "%s", path_in(dir, "data.mdb"));
    good = slurp(data, &n);
    for (int t = 0; t < 34; t++) {
        size_t to = t < 4 ? (size_t[]){0, 1, 4096, 8192}[t] : mix(&s) % n;
        char what[64];
        int hits;

        spill(data, good, t == 33 ? n : to);
        snprintf(what, sizeof what, "cut to %zu of %zu", to, n);
        hits = run_trial(dir, ch, what);
        if (t == 33 ? hits != BLOCKS + BLOCKS / 5 : hits != 0 && to < n / 2)
            fail_msg("%s: %d hits", what, hits);
        remove_aside(dir);
    }
    free(good);
    free(ch);
    dir_remove(dir);
}

/* A file without anything of LMDB's in the place of ours, in a directory that is a cache's. */
static void test_zeros_and_garbage(void **state)
{
    struct chain *ch = chain_make(1, 0, BLOCKS);
    char *dir = make_store(ch);
    uint8_t bytes[20000] = {0};
    uint64_t s = 1;
    (void)state;

    spill(path_in(dir, "data.mdb"), bytes, sizeof bytes);
    assert_int_equal(run_trial(dir, ch, "zeros"), 0);
    remove_aside(dir);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)mix(&s);
    spill(path_in(dir, "data.mdb"), bytes, sizeof bytes);
    assert_int_equal(run_trial(dir, ch, "garbage"), 0);
    remove_aside(dir);
    free(ch);
    dir_remove(dir);
}

/* Changes one byte of the file under the open cache: the map shows it at once. */
static void flip_in_place(const char *dir, off_t at, uint8_t xor)
{
    int fd = open(path_in(dir, "data.mdb"), O_RDWR);
    uint8_t b;

    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= xor;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

/* Where in the file a stored payload lies. */
static off_t payload_at(struct fg_cache *c, const struct chain *ch, uint32_t i)
{
    uint8_t key[FG_PIECE_KEY_BYTES];
    MDB_val k = {sizeof key, key}, v;
    MDB_txn *txn;
    off_t at;

    fg_piece_key(&ch->keys[i], 0, key);
    assert_int_equal(mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_get(txn, c->store.db[FG_DB_BLOCK_DATA], &k, &v), 0);
    at = (const char *)v.mv_data + FG_HEAD_BYTES - c->store.map;
    mdb_txn_abort(txn);
    return at;
}

static void test_payload_rots_while_open(void **state)
{
    struct chain *ch = chain_make(1, 0, BLOCKS);
    char *dir = make_store(ch);
    struct log_count log = {.word = "event=corrupt_record"};
    struct fg_cache_options opt = {
        .dir = dir, .max_bytes = BUDGET_MIB * MIB, .log = log_counter, .log_ctx = &log};
    struct fg_cache *c;
    struct fg_err err;
    (void)state;

    assert_int_equal(fg_cache_open(&opt, &c, &err), 0);
    flip_in_place(dir, payload_at(c, ch, 60) + 12345, 0x10);
    assert_int_equal(find_blocks(c, ch), BLOCKS); /* payloads are not looked at */
    assert_int_equal(read_one(c, ch, 60, 0, bytes_of(60), &err), 0);
    assert_int_equal(err.code, FG_ECORRUPT);
    assert_int_equal(log.n, 1);
    assert_int_equal(stats(c).dropped_corrupt, 1);
    assert_int_equal(find_blocks(c, ch), 60);
    assert_int_equal(read_one(c, ch, 61, 0, bytes_of(61), &err), 1);
    assert_int_equal(put_block(c, ch, 60, bytes_of(60)), 0);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, ch), BLOCKS);
    assert_int_equal(read_one(c, ch, 60, 0, bytes_of(60), &err), 1);
    assert_int_equal(stats(c).dropped_corrupt, 1);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

/* LMDB frees as many pages as a value's page header says: a wrong one must not be believed. */
static void test_value_header_rots_while_open(void **state)
{
    struct chain *ch = chain_make(1, 0, BLOCKS);
    char *dir = make_store(ch);
    struct log_count log = {.word = "event=damaged"};
    struct fg_cache_options opt = {
        .dir = dir, .max_bytes = BUDGET_MIB * MIB, .log = log_counter, .log_ctx = &log};
    struct fg_cache *c;
    struct fg_err err;
    off_t at;
    (void)state;

    assert_int_equal(fg_cache_open(&opt, &c, &err), 0);
    at = payload_at(c, ch, 60);
    flip_in_place(dir, at - FG_HEAD_BYTES - 4, 0x7f); /* the number of pages */
    flip_in_place(dir, at, 1);
    assert_int_equal(read_one(c, ch, 60, 0, bytes_of(60), &err), 0); /* drops it: reopens, empty */
    fg_cache_flush(c);
    fg_cache_flush(c);
    assert_int_equal(log.n, 1);
    assert_int_equal(find_blocks(c, ch), 0);
    assert_int_equal(stats(c).blocks, 0);
    put_blocks(c, ch, 0, 10, 1000);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, ch), 10);
    fg_cache_close(c);
    assert_int_equal(access(path_in(dir, "data.mdb.damaged-1"), F_OK), 0);
    free(ch);
    dir_remove(dir);
}

static void test_tree_rots_while_open(void **state)
{
    struct chain *ch = chain_make(1, 0, BLOCKS);
    char *dir = make_store(ch);
    struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
    struct fg_err err;
    size_t n;
    uint8_t *p = slurp(path_in(dir, "data.mdb"), &n);
    (void)state;

    for (size_t at = 2 * 4096; at < n; at += 4096) { /* every leaf becomes a page of no kind */
        uint64_t number;

        memcpy(&number, p + at, sizeof number);
        if (number == at / 4096 && p[at + 10] == 2 && p[at + 11] == 0)
            flip_in_place(dir, (off_t)at + 10, 2);
    }
    assert_int_equal(read_one(c, ch, 0, 0, bytes_of(0), &err), 0);
    assert_int_equal(err.code, FG_EIO);
    for (int i = 0; i < 3; i++)
        fg_cache_flush(c);
    assert_int_equal(stats(c).blocks, 0);
    put_blocks(c, ch, 0, 10, 1000);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, ch), 10);
    assert_int_equal(read_one(c, ch, 9, 0, 1000, &err), 1);
    fg_cache_close(c);
    free(p);
    free(ch);
    dir_remove(dir);
}

static void test_cut_while_open(void **state)
{
    struct chain *ch = chain_make(1, 0, BLOCKS);
    char *dir = make_store(ch);
    struct fg_cache *c = cache_open(dir, BUDGET_MIB * MIB);
    struct fg_err err;
    (void)state;

    assert_int_equal(find_blocks(c, ch), BLOCKS);
    assert_int_equal(truncate(path_in(dir, "data.mdb"), 40000), 0);
    assert_int_equal(read_one(c, ch, 0, 0, bytes_of(0), &err), 0);
    assert_int_equal(err.code, FG_EIO);
    assert_non_null(strstr(err.text, "shorter"));
    for (int i = 0; i < 2; i++)
        fg_cache_flush(c);
    assert_int_equal(find_blocks(c, ch), 0);
    put_blocks(c, ch, 0, 10, 1000);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, ch), 10);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_zeros_and_garbage),
        cmocka_unit_test(test_payload_rots_while_open),
        cmocka_unit_test(test_value_header_rots_while_open),
        cmocka_unit_test(test_tree_rots_while_open),
        cmocka_unit_test(test_cut_while_open),
    };

    if (sysconf(_SC_PAGESIZE) != 4096) {
        print_message("[ SKIP ] offsets here are for pages of 4096 bytes\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
