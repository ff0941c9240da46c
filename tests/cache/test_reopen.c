/* The store is closed and opened again: what LMDB has let go of is not let go of twice. */
#include "util.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cache/handle.h"
#include "cache/put_queue.h"

enum { BLOCKS = 20, BYTES = 20000 };

/* Where the data file is mapped and its descriptor, while they are watched. What LMDB lets go of
 * has a new owner at once, as in a process with other threads. */
static const void *_Atomic watched_map;
static atomic_int watched_fd = -1;
static atomic_int unmapped, closed;

__attribute__((visibility("default"))) int munmap(void *at, size_t n)
{
    int rc = (int)syscall(SYS_munmap, at, n);

    if (at != atomic_load(&watched_map))
        return rc;
    atomic_fetch_add(&unmapped, 1);
    mmap(at, 4096, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return rc;
}

__attribute__((visibility("default"))) int close(int fd)
{
    int rc = (int)syscall(SYS_close, fd);

    if (fd < 0 || fd != atomic_load(&watched_fd))
        return rc;
    atomic_fetch_add(&closed, 1);
    syscall(SYS_dup3, STDIN_FILENO, fd, 0);
    return rc;
}

static void watch(struct fg_cache *c)
{
    mdb_filehandle_t fd;

    assert_int_equal(mdb_env_get_fd(c->store.env, &fd), 0);
    atomic_store(&unmapped, 0);
    atomic_store(&closed, 0);
    atomic_store(&watched_map, c->store.map);
    atomic_store(&watched_fd, fd);
}

static void unwatch(void)
{
    int fd = atomic_exchange(&watched_fd, -1);
    void *at = (void *)atomic_exchange(&watched_map, NULL);

    syscall(SYS_close, fd);
    syscall(SYS_munmap, at, 4096);
}

/* The child, in which what LMDB held is lost: LMDB closes the data file, then looks into its lock
 * file, which has been cut. 0, or what went wrong. */
static int cut_lock_file(const char *dir)
{
    struct fg_cache *c = cache_open(dir, 16 * MIB);
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_err err;

    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    if (read_one(c, ch, 0, 0, BYTES, &err) != 1) /* has an entry in the lock file */
        return 1;
    watch(c);
    if (truncate(path_in(dir, "lock.mdb"), 0) != 0)
        return 2;
    fg_report_damage(c, "so that it is closed");
    fg_cache_flush(c);
    if (atomic_load(&unmapped) != 1 || atomic_load(&closed) != 1)
        return 3;
    unwatch();
    for (uint32_t i = 0; i < BLOCKS; i++)
        if (read_one(c, ch, i, 0, BYTES, &err) != 1)
            return 4;
    fg_cache_close(c);
    return 0;
}

static void test_closing_is_cut_short(void **state)
{
    char *dir = dir_make();
    int status;
    pid_t pid = fork();
    (void)state;

    if (pid == 0)
        _exit(cut_lock_file(dir));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    dir_remove(dir);
}

/* The check of a file reads it with pread: a gate in front of it, and how much came through. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_shut, at_gate;
static atomic_int reads;

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    pthread_mutex_lock(&gate_lock);
    while (gate_shut) {
        at_gate = true;
        pthread_cond_broadcast(&gate_moved);
        pthread_cond_wait(&gate_moved, &gate_lock);
    }
    atomic_fetch_add(&reads, 1);
    pthread_mutex_unlock(&gate_lock);
    return (ssize_t)syscall(SYS_pread64, fd, buf, n, at);
}

static void *close_cache(void *c)
{
    fg_cache_close(c);
    return NULL;
}

/* The cache is closed while the writer stands in the check of a damaged store. */
static void test_closing_waits_for_no_check(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 16 * MIB);
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_err err;
    pthread_t closer;
    (void)state;

    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    pthread_mutex_lock(&gate_lock);
    gate_shut = true;
    pthread_mutex_unlock(&gate_lock);
    fg_report_damage(c, "so that it is checked");
    pthread_mutex_lock(&gate_lock);
    while (!at_gate)
        pthread_cond_wait(&gate_moved, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
    assert_int_equal(pthread_create(&closer, NULL, close_cache, c), 0);
    while (!c->writer.stop) /* it stays until the gate is open */
        sched_yield();
    pthread_mutex_lock(&gate_lock);
    atomic_store(&reads, 0);
    gate_shut = false;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
    pthread_join(closer, NULL);
    assert_int_equal(atomic_load(&reads), 1); /* the one at the gate */
    c = cache_open(dir, 16 * MIB);
    for (uint32_t i = 0; i < BLOCKS; i++)
        assert_int_equal(read_one(c, ch, i, 0, BYTES, &err), 1);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

/* Something else stands where the data file was: not looked at for each record that is put. */
static void test_failing_to_open_is_not_tried_always(void **state)
{
    char *dir = dir_make(), data[4200], away[4200];
    struct log_count log = {.word = "event=reopen_failed"};
    struct fg_cache_options opt = {dir, 16 * MIB, log_counter, &log, 0};
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_cache *c;
    struct fg_err err;
    int n;
    (void)state;

    snprintf(data, sizeof data, "%s", path_in(dir, "data.mdb"));
    snprintf(away, sizeof away, "%s", path_in(dir, "away"));
    assert_int_equal(fg_cache_open(&opt, &c, &err), 0);
    put_blocks(c, ch, 0, 5, BYTES);
    fg_cache_flush(c);
    assert_int_equal(rename(data, away), 0);
    assert_int_equal(mkdir(data, 0700), 0);
    fg_report_damage(c, "so that it is opened again");
    fg_cache_flush(c);
    fg_cache_flush(c);
    assert_int_equal(log.n, 2); /* once more at once */
    for (uint64_t want = c->handover.retry_after; want < 60000; want *= 2) {
        assert_int_equal(c->handover.retry_after, want);
        assert_true(c->handover.retry_at > 0);
        c->handover.retry_at = 0; /* time has passed; the writer sleeps */
        fg_cache_flush(c);
    }
    assert_int_equal(c->handover.retry_after, 60000);
    n = log.n;
    for (uint32_t i = 5; i < 15; i++) {
        put_block(c, ch, i, BYTES);
        fg_cache_flush(c);
    }
    assert_int_equal(log.n, n);
    assert_int_equal(rmdir(data), 0);
    assert_int_equal(rename(away, data), 0);
    c->handover.retry_at = 0;
    fg_cache_flush(c);
    assert_int_equal(log.n, n);
    assert_int_equal(find_blocks(c, ch), 5);
    assert_int_equal(read_one(c, ch, 4, 0, BYTES, &err), 1);
    assert_int_equal(c->handover.retry_after, 0);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closing_is_cut_short),
        cmocka_unit_test(test_closing_waits_for_no_check),
        cmocka_unit_test(test_failing_to_open_is_not_tried_always),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
