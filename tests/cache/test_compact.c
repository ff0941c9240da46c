/* Compaction: the file shrinks, nothing is lost, reads and writes go on, a kill at any moment
 * leaves a whole store, a copy that there is no room for changes nothing. */
#include "util.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "cache/dir.h"
#include "cache/handle.h"

enum { N = 200, KEPT = 20, BYTES = 20000 };

/* In the child: after so many writes to the copy, `victim` is cut. */
static atomic_int writes_left = -1;
static const char *victim;
static off_t cut_to;

static void about_to_write(int fd)
{
    char name[64], target[4200];
    ssize_t n;

    if (atomic_load(&writes_left) < 0)
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    n = readlink(name, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    if (strstr(target, FG_COMPACT_FILE) && atomic_fetch_sub(&writes_left, 1) == 0 &&
        truncate(victim, cut_to) != 0)
        abort();
}

/* LMDB writes with one or the other. */
__attribute__((visibility("default"))) ssize_t write(int fd, const void *buf, size_t n)
{
    about_to_write(fd);
    return syscall(SYS_write, fd, buf, n);
}

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    about_to_write(fd);
    return syscall(SYS_pwrite64, fd, buf, n, at);
}

__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *iov, int n)
{
    about_to_write(fd);
    return syscall(SYS_writev, fd, iov, n);
}

__attribute__((visibility("default"))) ssize_t pwritev(int fd, const struct iovec *iov, int n,
                                                       off_t at)
{
    about_to_write(fd);
    return syscall(SYS_pwritev, fd, iov, n, at, 0);
}

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
    assert_int_equal(forget(c, &(*ch)->root, &(*ch)->keys[KEPT], false, &gone, &err), 0);
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

/* The child: 0, or what went wrong; 100: the copy was done before. */
static int cut_during_the_copy(const char *file, off_t size, int writes)
{
    uint64_t before, after;
    struct fg_err err = {0};
    struct fg_cache *c;
    struct chain *ch;
    char *dir, path[4200];
    bool own = strcmp(file, FG_COMPACT_FILE) == 0, met;
    int rc;

    c = make(&dir, &ch);
    c->batch_cap = 4 * BYTES; /* a transaction of the copy */
    snprintf(path, sizeof path, "%s", path_in(dir, file));
    victim = path;
    cut_to = size;
    atomic_store(&writes_left, writes);
    rc = fg_cache_compact(c, &before, &after, &err);
    met = atomic_exchange(&writes_left, -1) < 0;
    fg_cache_flush(c);
    fg_cache_flush(c);
    if (!met && rc)
        return 1;
    if (rc && (rc != FG_EIO || err.code != FG_EIO || (!own && !strstr(err.text, "damaged"))))
        return 2;
    if (access(path_in(dir, FG_COMPACT_FILE), F_OK) == 0)
        return 3;
    /* The copy that is cut costs the copy; the store that is cut is begun anew, or has been copied
     * by then. */
    if ((own || !rc) != (stats(c).blocks == KEPT))
        return 4;
    if (!own && rc && size && access(path_in(dir, "data.mdb.damaged-1"), F_OK) != 0)
        return 5;
    put_blocks(c, ch, 0, KEPT, BYTES);
    put_state(c, ch, KEPT - 1, BYTES);
    fg_cache_flush(c);
    expect_kept(c, ch);
    if (fg_cache_compact(c, &before, &after, &err))
        return 6;
    expect_kept(c, ch);
    fg_cache_close(c);
    c = cache_open(dir, 64 * MIB);
    expect_kept(c, ch);
    fg_cache_close(c);
    dir_remove(dir);
    return met ? 0 : 100;
}

static void test_cut_meanwhile(void **state)
{
    static const struct {
        const char *file;
        off_t size;
    } cuts[] = {{"data.mdb", 0}, {"data.mdb", 100000}, {FG_COMPACT_FILE, 0}};
    (void)state;

    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        int status = 0, writes = 0;

        for (; status == 0; writes++) {
            pid_t pid = fork();

            if (pid == 0)
                _exit(cut_during_the_copy(cuts[i].file, cuts[i].size, writes));
            assert_int_equal(waitpid(pid, &status, 0), pid);
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 100)
            fail_msg("%s cut to %d after %d writes: status %#x", cuts[i].file, (int)cuts[i].size,
                     writes - 1, (unsigned)status);
        assert_true(writes > 5); /* it was cut amid the copy too */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_killed_anywhere),
        cmocka_unit_test(test_cut_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
