/* On a disk without a byte left the store goes on: what is there is found, what is to be forgotten
 * goes, what is new takes the place of what is worth less. And when there is room again it is
 * used. Each case in a child, on a file system of its own. */
#include "util.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "cache/batch.h"
#include "cache/commit.h"
#include "cache/dir.h"
#include "cache/handle.h"

enum { MOST = 1000, ROUNDS = 150, BLOCKS = 3, BYTES = 30000, BUDGET_MIB = 64 };

/* Prompts that share nothing. */
static struct chain *prompt(int i)
{
    return chain_make(1000 + (uint64_t)i, 0, BLOCKS);
}

static bool keep(struct fg_cache *c, int i, size_t bytes)
{
    struct chain *ch = prompt(i);
    bool kept;

    for (uint32_t b = 0; b < BLOCKS; b++)
        put_block(c, ch, b, bytes);
    fg_cache_flush(c);
    kept = find_blocks(c, ch) == BLOCKS;
    free(ch);
    return kept;
}

/* What of prompts [0, n) is found reads right; their number, or -1. */
static int count_right(struct fg_cache *c, int n, size_t bytes)
{
    int found = 0;

    for (int i = 0; i < n; i++) {
        struct chain *ch = prompt(i);
        uint32_t held = find_blocks(c, ch);
        struct fg_err err;

        for (uint32_t b = 0; b < held; b++)
            if (read_one(c, ch, b, 0, bytes, &err) != 1)
                return -1;
        found += held == BLOCKS;
        free(ch);
    }
    return found;
}

static int newest_found(struct fg_cache *c, int n)
{
    for (int i = n - 1; i >= 0; i--) {
        struct chain *ch = prompt(i);
        bool held = find_blocks(c, ch) == BLOCKS;

        free(ch);
        if (held)
            return i;
    }
    return -1;
}

static int forget_newest(struct fg_cache *c, int n)
{
    struct fg_cache_forgotten out;
    int i = newest_found(c, n);
    struct chain *ch = prompt(i);
    struct fg_err err = {0};
    int rc = forget(c, &ch->root, &ch->keys[0], false, &out, &err);

    if (rc)
        print_error("forget: %s\n", err.text);
    else if (out.blocks != BLOCKS || find_blocks(c, ch) != 0)
        rc = 1;
    free(ch);
    return rc;
}

/* Takes the last byte. */
static void fill_up(const char *path)
{
    static char zeros[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    for (size_t n = sizeof zeros; n; n /= 2)
        while (write(fd, zeros, n) == (ssize_t)n)
            ;
    close(fd);
}

struct disk {
    const char *top;
    char dir[4200], filler[4200];
    bool limit;         /* on the size of files, not of the disk */
    uint64_t bytes;     /* of the disk, or the limit */
    size_t block_bytes; /* of a payload */
};

static void relieve(const struct disk *d)
{
    struct rlimit lim;

    unlink(d->filler);
    if (!d->limit)
        mount(NULL, d->top, NULL, MS_REMOUNT, "size=32m");
    getrlimit(RLIMIT_FSIZE, &lim);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_FSIZE, &lim);
}

/* 0, or the line of what went wrong. */
#define EXPECT(x)                                                                                  \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            print_error("%s\n", #x);                                                               \
            return __LINE__ % 200 + 1;                                                             \
        }                                                                                          \
    } while (0)

static int live_on_full_disk(const struct disk *d)
{
    struct log_count log = {.word = "event=write_"};
    struct fg_cache_options opt = {
        .dir = d->dir, .max_bytes = BUDGET_MIB * MIB, .log = log_counter, .log_ctx = &log};
    struct fg_cache_stats s;
    struct fg_cache *c;
    struct fg_err err;
    int n = 0, first, kept = 0;

    EXPECT(fg_cache_open(&opt, &c, &err) == 0);
    while (n < MOST && stats(c).write_errors == 0)
        keep(c, n++, d->block_bytes);
    EXPECT(n < MOST && log.n == 1 && strstr(log.last, "disk_full=1"));
    if (!d->limit)
        fill_up(d->filler);
    first = count_right(c, n, d->block_bytes);
    EXPECT(first > 2);
    for (int i = 0; i < 3; i++)
        EXPECT(forget_newest(c, n) == 0);
    EXPECT(count_right(c, n, d->block_bytes) == first - 3);
    /* No freezing: far more comes and goes than the reserve holds. */
    for (int i = 0; i < ROUNDS; i++)
        kept += keep(c, n++, d->block_bytes);
    s = stats(c);
    EXPECT(kept == ROUNDS);
    EXPECT(s.evicted > 100 && log.n == 1 && s.dropped_corrupt == 0);
    EXPECT(count_right(c, n, d->block_bytes) > first / 2);
    EXPECT(forget_newest(c, n) == 0);
    /* A start with less to keep, as full as before. */
    fg_cache_close(c);
    if (!d->limit)
        fill_up(d->filler);
    opt.max_bytes = MIB;
    EXPECT(fg_cache_open(&opt, &c, &err) == 0);
    fg_cache_flush(c);
    fg_cache_flush(c);
    s = stats(c);
    EXPECT(s.block_bytes < MIB && s.blocks > 0);
    EXPECT(count_right(c, n, d->block_bytes) > 0);
    fg_cache_close(c);
    opt.max_bytes = BUDGET_MIB * MIB;
    EXPECT(fg_cache_open(&opt, &c, &err) == 0);
    /* Room again. */
    log.n = 0;
    relieve(d);
    first = (int)stats(c).blocks;
    for (int i = 0; i < 10; i++)
        EXPECT(keep(c, n++, d->block_bytes));
    EXPECT(stats(c).blocks == (uint64_t)first + 10 * BLOCKS && stats(c).evicted == 0);
    EXPECT(c->reserve.bytes >= c->reserve.want);
    EXPECT(forget_newest(c, n) == 0);
    EXPECT(count_right(c, n, d->block_bytes) > 9 && stats(c).dropped_corrupt == 0);
    fg_cache_close(c);
    return 0;
}

/* The child. 100: it cannot be tried here. */
static int run_case(const struct disk *d)
{
    char options[64];

    signal(SIGXFSZ, SIG_IGN);
    if (d->limit) {
        struct rlimit lim;

        getrlimit(RLIMIT_FSIZE, &lim);
        lim.rlim_cur = d->bytes;
        setrlimit(RLIMIT_FSIZE, &lim);
        return live_on_full_disk(d);
    }
    snprintf(options, sizeof options, "size=%llu,mode=700", (unsigned long long)d->bytes);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", d->top, "tmpfs", 0, options) != 0)
        return 100;
    return live_on_full_disk(d);
}

static void test_case(bool limit, uint64_t bytes, size_t block_bytes)
{
    char *top = dir_make();
    struct disk d = {.top = top, .limit = limit, .bytes = bytes, .block_bytes = block_bytes};
    int status;
    pid_t pid;

    snprintf(d.dir, sizeof d.dir, "%s/cache", top);
    snprintf(d.filler, sizeof d.filler, "%s/filler", top);
    pid = fork();
    if (pid == 0)
        _exit(run_case(&d));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
        print_message("[ SKIP ] mounting a small tmpfs is not permitted here\n");
    else if (status)
        fail_msg("%s of %llu bytes, blocks of %zu: status %#x", limit ? "limit" : "disk",
                 (unsigned long long)bytes, block_bytes, (unsigned)status);
    dir_remove(top);
}

static void test_disk(void **state)
{
    (void)state;
    test_case(false, 2 * MIB, BYTES);
    test_case(false, 4 * MIB, 1000);
    test_case(false, 8 * MIB, BYTES);
    test_case(false, 8 * MIB, 200000);
}

static void test_limit(void **state)
{
    (void)state;
    test_case(true, 2 * MIB, BYTES);
    test_case(true, 4 * MIB + 20011, 1000);
    test_case(true, 8 * MIB + 4097, 200000);
}

static int commit_deletion(struct fg_cache *c, struct fg_batch *b)
{
    return fg_commit(c, b, FG_COMMIT_CHORES | FG_COMMIT_MARK);
}

/* In as many transactions as it takes, each of which frees a bounded number of pages, however large
 * the record is. */
static void test_large_record_goes_piece_by_piece(void **state)
{
    enum { PIECES = 5 };
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 64 * MIB);
    struct chain *ch = prompt(1);
    struct fg_batch *b = calloc(1, sizeof *b);
    struct fg_victim *v = &b->victims[0];
    size_t bytes = (PIECES - 1) * (size_t)FG_RECORD_PIECE + 1000;
    struct fg_err err;
    (void)state;

    put_block(c, ch, 0, 1000);
    put_state(c, ch, 0, bytes);
    fg_cache_flush(c);
    /* The writer has nothing to do now. */
    b->n_victims = 1;
    b->few = 2;
    b->clock = c->clock;
    *v = (struct fg_victim){.e = fg_index_find(&c->ix, &ch->keys[0]), .kind = FG_KIND_STATE};
    for (int i = 2; i < PIECES; i += 2) {
        assert_int_equal(commit_deletion(c, b), 0);
        assert_int_equal(b->deleted, 0);
        assert_true(v->begun);
    }
    assert_int_equal(commit_deletion(c, b), 0);
    assert_int_equal(b->deleted, 1);
    assert_int_equal(read_one(c, ch, 0, 0, 1000, &err), 1);
    fg_cache_close(c);
    c = cache_open(dir, 64 * MIB);
    assert_int_equal(stats(c).states, 0);
    assert_int_equal(stats(c).dropped_corrupt, 0);
    assert_int_equal(read_one(c, ch, 0, 0, 1000, &err), 1);
    fg_cache_close(c);
    free(b);
    free(ch);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_large_record_goes_piece_by_piece),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
