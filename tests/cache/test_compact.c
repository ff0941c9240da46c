/* Compaction: the file shrinks, nothing is lost, reads and writes go on, a kill at any moment
 * leaves a whole store, a copy that there is no room for changes nothing. */
#include "util.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "cache/dir.h"
#include "cache/handle.h"

enum { N = 200, KEPT = 20, BYTES = 20000 };

static uint64_t file_size(const char *dir)
{
    struct stat st;

    assert_int_equal(stat(path_in(dir, "data.mdb"), &st), 0);
    return (uint64_t)st.st_size;
}

/* A store of which most has been forgotten. */
static struct fg_cache *make(char **dir, struct chain **ch)
{
    struct fg_cache_forgotten gone;
    struct fg_cache *c;
    struct fg_err err;

    *dir = dir_make();
    *ch = chain_make(5, 0, N);
    c = cache_open(*dir, 64 * MIB);
    put_blocks(c, *ch, 0, N, BYTES);
    put_state(c, *ch, KEPT - 1, BYTES);
    fg_cache_flush(c);
    assert_int_equal(fg_cache_forget(c, &(*ch)->root, 1, &(*ch)->keys[KEPT], false, &gone, &err),
                     0);
    assert_int_equal(gone.blocks, N - KEPT);
    return c;
}

static void expect_kept(struct fg_cache *c, const struct chain *ch)
{
    struct fg_err err;

    assert_int_equal(find_blocks(c, ch), KEPT);
    for (uint32_t i = 0; i < KEPT; i++)
        assert_int_equal(read_one(c, ch, i, 0, BYTES, &err), 1);
    assert_int_equal(read_one(c, ch, KEPT - 1, 1, BYTES, &err), 1);
}

static void test_shrinks(void **state)
{
    struct chain *ch, *more = chain_make(6, 0, 50);
    struct fg_cache *c;
    uint64_t before, after, was;
    struct fg_err err;
    char *dir;
    (void)state;

    c = make(&dir, &ch);
    was = file_size(dir);
    assert_true(was > N * BYTES);
    assert_int_equal(fg_cache_compact(c, &before, &after, &err), 0);
    assert_int_equal(before, was);
    assert_int_equal(after, file_size(dir));
    assert_true(after < was / 4);
    assert_int_equal(stats(c).file_bytes, after);
    expect_kept(c, ch);
    put_blocks(c, more, 0, 50, BYTES);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, more), 50);
    assert_int_equal(fg_cache_compact(c, &before, &after, &err), 0);
    fg_cache_close(c);
    c = cache_open(dir, 64 * MIB);
    expect_kept(c, ch);
    assert_int_equal(find_blocks(c, more), 50);
    assert_int_equal(stats(c).dropped_corrupt, 0);
    assert_int_not_equal(access(path_in(dir, FG_COMPACT_FILE), F_OK), 0);
    fg_cache_close(c);
    free(ch);
    free(more);
    dir_remove(dir);
}

/* Files may not grow beyond what the copy needs. */
static void test_no_room(void **state)
{
    struct rlimit old, small = {.rlim_cur = 100000};
    uint64_t before, after, was;
    struct fg_cache *c;
    struct fg_err err;
    struct chain *ch;
    char *dir;
    (void)state;

    c = make(&dir, &ch);
    was = file_size(dir);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(fg_cache_compact(c, &before, &after, &err), FG_EFULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(file_size(dir), was);
    assert_int_not_equal(access(path_in(dir, FG_COMPACT_FILE), F_OK), 0);
    expect_kept(c, ch);
    assert_int_equal(fg_cache_compact(c, &before, &after, &err), 0);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

static void test_killed_anywhere(void **state)
{
    int rounds = soak() ? 200 : 20;
    struct fg_cache *c;
    struct chain *ch;
    char *dir;
    (void)state;

    c = make(&dir, &ch);
    fg_cache_close(c);
    for (int i = 0; i < rounds; i++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            uint64_t before, after;

            c = cache_open(dir, 64 * MIB);
            for (;;)
                fg_cache_compact(c, &before, &after, NULL);
        }
        usleep((useconds_t)(i * 30000 / rounds)); /* the moment itself */
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        c = cache_open(dir, 64 * MIB);
        expect_kept(c, ch);
        assert_int_not_equal(access(path_in(dir, FG_COMPACT_FILE), F_OK), 0);
        fg_cache_close(c);
    }
    free(ch);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_killed_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
