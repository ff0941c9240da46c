/* The store is closed and opened again: what LMDB has let go of is not let go of twice. */
#include "util.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

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

    assert_int_equal(mdb_env_get_fd(c->env, &fd), 0);
    atomic_store(&unmapped, 0);
    atomic_store(&closed, 0);
    atomic_store(&watched_map, c->map);
    atomic_store(&watched_fd, fd);
}

static void unwatch(void)
{
    int fd = atomic_exchange(&watched_fd, -1);
    void *at = (void *)atomic_exchange(&watched_map, NULL);

    syscall(SYS_close, fd);
    syscall(SYS_munmap, at, 4096);
}

/* LMDB closes the data file, then looks into its lock file, which has been cut. */
static void test_closing_is_cut_short(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 16 * MIB);
    struct chain *ch = chain_make(1, 0, BLOCKS);
    struct fg_err err;
    (void)state;

    put_blocks(c, ch, 0, BLOCKS, BYTES);
    fg_cache_flush(c);
    assert_int_equal(read_one(c, ch, 0, 0, BYTES, &err), 1); /* has an entry in the lock file */
    watch(c);
    assert_int_equal(truncate(path_in(dir, "lock.mdb"), 0), 0);
    fg_report_damage(c, "so that it is closed");
    fg_cache_flush(c);
    assert_int_equal(atomic_load(&unmapped), 1);
    assert_int_equal(atomic_load(&closed), 1);
    unwatch();
    for (uint32_t i = 0; i < BLOCKS; i++)
        assert_int_equal(read_one(c, ch, i, 0, BYTES, &err), 1);
    fg_cache_close(c);
    free(ch);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closing_is_cut_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
