/* What the system refuses: a full disk, directories that cannot be used, a second process, files of
 * other formats. */
#include "util.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "cache/handle.h"

static void test_second_process(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct fg_err err;
    int status;
    pid_t pid;
    (void)state;

    assert_int_equal(try_open(dir, &err), FG_EBUSY); /* in this process as well */
    assert_non_null(strstr(err.text, dir));
    pid = fork();
    if (pid == 0)
        _exit(try_open(dir, &err) == FG_EBUSY ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    fg_cache_close(c);
    assert_int_equal(try_open(dir, &err), 0);
    dir_remove(dir);
}

static void test_directories(void **state)
{
    char *dir = dir_make(), *deep = malloc(4200);
    struct fg_err err;
    struct stat st;
    int fd, status;
    pid_t pid;
    (void)state;

    snprintf(deep, 4200, "%s/a/b//c/", dir);
    assert_int_equal(try_open(deep, &err), 0);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(path_in(dir, "a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    free(deep);

    fd = open(path_in(dir, "file"), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(try_open(path_in(dir, "file"), &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "file"));
    assert_int_equal(try_open(path_in(dir, "file/below"), &err), FG_EINVAL);

    assert_int_equal(try_open("/proc/fulgur-cache", &err), FG_EACCESS);
    assert_non_null(strstr(err.text, "/proc/fulgur-cache"));

    assert_int_equal(chmod(dir, 0500), 0);
    pid = fork();
    if (pid == 0) { /* root may write everywhere */
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(100);
        _exit(try_open(dir, &err) == FG_EACCESS && strstr(err.text, dir) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
        print_message("[ SKIP ] root cannot become another user here\n");
    else
        assert_int_equal(status, 0);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(mkdir(path_in(dir, "data.mdb"), 0700), 0);
    assert_int_equal(try_open(dir, &err), FG_EINVAL);
    dir_remove(dir);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void test_unknown_versions_are_refused(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    uint8_t format[FG_FORMAT_BYTES];
    MDB_val k = {6, (void *)"format"}, v = {sizeof format, format};
    struct fg_err err;
    struct stat before, after;
    MDB_txn *txn;
    (void)state;

    fg_format_encode(9, format);
    assert_int_equal(mdb_txn_begin(c->store.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, c->store.db[FG_DB_META], &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    fg_cache_close(c);
    assert_int_equal(stat(path_in(dir, "data.mdb"), &before), 0);
    assert_int_equal(try_open(dir, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "format 9"));
    assert_non_null(strstr(err.text, "format 5"));
    assert_non_null(strstr(err.text, dir));
    write_file(path_in(dir, "lock"), "fulgur-cache 12\n");
    assert_int_equal(try_open(dir, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "format 12"));
    assert_int_equal(stat(path_in(dir, "data.mdb"), &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_size, before.st_size);
    dir_remove(dir);
}

/* An earlier build's file is moved aside; what was in it is known to have been there. */
static void test_earlier_format_is_moved_aside(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *ch = chain_make(1, 0, 5), *other = chain_make(2, 0, 2);
    struct fg_cache_forgotten forgotten;
    struct stat before, after;
    struct fg_err err;
    (void)state;

    put_blocks(c, ch, 0, 4, 1000);
    assert_int_equal(put_state(c, ch, 3, 2000), 0);
    fg_cache_close(c);
    assert_int_equal(stat(path_in(dir, "data.mdb"), &before), 0);
    write_file(path_in(dir, "lock"), "fulgur-cache 2\n");
    c = cache_open(dir, 4 * MIB);
    assert_int_equal(stats(c).blocks, 0);
    assert_int_equal(find_blocks(c, ch), 0);
    assert_int_equal(fg_cache_gone_block(c, &ch->keys[0]), FG_GONE_FORMAT);
    assert_int_equal(fg_cache_gone_block(c, &ch->keys[3]), FG_GONE_FORMAT);
    assert_int_equal(fg_cache_gone_state(c, &ch->keys[3]), FG_GONE_FORMAT);
    assert_int_equal(fg_cache_gone_state(c, &ch->keys[2]), FG_GONE_UNKNOWN);
    assert_int_equal(fg_cache_gone_block(c, &ch->keys[4]), FG_GONE_UNKNOWN);
    assert_int_equal(fg_cache_gone_block(c, &other->keys[0]), FG_GONE_UNKNOWN);
    assert_int_equal(stat(path_in(dir, "data.mdb.format-2"), &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    put_blocks(c, ch, 0, 5, 1000);
    fg_cache_close(c);
    c = cache_open(dir, 4 * MIB); /* the directory is of this format now */
    assert_int_equal(find_blocks(c, ch), 5);
    fg_cache_close(c);
    write_file(path_in(dir, "lock"), "fulgur-cache 3\n");
    c = cache_open(dir, 4 * MIB);
    assert_int_equal(stats(c).blocks, 0);
    assert_int_equal(fg_cache_gone_block(c, &ch->keys[4]), FG_GONE_FORMAT);
    assert_int_equal(access(path_in(dir, "data.mdb.format-3"), F_OK), 0);
    put_blocks(c, ch, 0, 5, 1000);
    fg_cache_close(c);
    /* One that is damaged as well: moved all the same, and nothing of it is believed. */
    write_file(path_in(dir, "lock"), "fulgur-cache 1\n");
    assert_int_equal(truncate(path_in(dir, "data.mdb"), 5000), 0);
    c = cache_open(dir, 4 * MIB);
    assert_int_equal(stats(c).blocks, 0);
    assert_int_equal(fg_cache_gone_block(c, &ch->keys[0]), FG_GONE_UNKNOWN);
    assert_int_equal(access(path_in(dir, "data.mdb.format-1"), F_OK), 0);
    /* What is forgotten is in no file. */
    put_blocks(c, ch, 0, 5, 1000);
    assert_int_equal(forget(c, &ch->root, NULL, true, &forgotten, &err), 0);
    assert_int_not_equal(access(path_in(dir, "data.mdb.format-1"), F_OK), 0);
    assert_int_not_equal(access(path_in(dir, "data.mdb.format-2"), F_OK), 0);
    assert_int_not_equal(access(path_in(dir, "data.mdb.format-3"), F_OK), 0);
    fg_cache_close(c);
    free(ch);
    free(other);
    dir_remove(dir);
}

/* A data.mdb that is not ours, in a directory that is not ours: refused, and left as it is. */
static void test_foreign_files_are_refused(void **state)
{
    char *dir = dir_make(), text[64] = {0};
    struct fg_err err;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi db;
    int fd;
    (void)state;

    write_file(path_in(dir, "data.mdb"), "somebody's notes, not a database");
    assert_int_equal(try_open(dir, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "data.mdb"));
    fd = open(path_in(dir, "data.mdb"), O_RDONLY);
    assert_int_equal(read(fd, text, sizeof text), 32);
    assert_string_equal(text, "somebody's notes, not a database");
    close(fd);
    unlink(path_in(dir, "data.mdb"));
    unlink(path_in(dir, "lock"));

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 2), 0);
    assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "addresses", MDB_CREATE, &db), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(try_open(dir, &err), FG_EFORMAT);
    assert_int_not_equal(access(path_in(dir, "data.mdb.damaged-1"), F_OK), 0);
    dir_remove(dir);
}

/* A store that was copied without its lock file is a store. */
static void test_lock_file_may_be_lost(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB);
    struct chain *ch = chain_make(1, 0, 5);
    struct stat st;
    (void)state;

    put_blocks(c, ch, 0, 5, 100);
    fg_cache_close(c);
    unlink(path_in(dir, "lock"));
    c = cache_open(dir, 4 * MIB);
    assert_int_equal(find_blocks(c, ch), 5);
    fg_cache_close(c);
    assert_int_equal(stat(path_in(dir, "lock"), &st), 0);
    assert_true(st.st_size > 0);
    free(ch);
    dir_remove(dir);
}

/* mdb_copy's copies, compacted or not, are stores. */
static void test_copies_are_stores(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, 4 * MIB), *copy;
    struct chain *ch = chain_make(1, 0, 100), *gone = chain_make(2, 0, 100);
    struct fg_err err;
    (void)state;

    put_blocks(c, gone, 0, 100, 30000);
    put_blocks(c, ch, 0, 100, 20000);
    fg_cache_flush(c);
    for (unsigned flags = 0; flags <= MDB_CP_COMPACT; flags += MDB_CP_COMPACT) {
        char *other = dir_make();

        assert_int_equal(mdb_env_copy2(c->store.env, other, flags), 0);
        copy = cache_open(other, 4 * MIB);
        assert_int_equal(find_blocks(copy, ch), 100);
        for (uint32_t i = 0; i < 100; i++)
            assert_int_equal(read_one(copy, ch, i, 0, 20000, &err), 1);
        put_blocks(copy, gone, 0, 100, 30000);
        fg_cache_flush(copy);
        assert_int_equal(stats(copy).write_errors, 0);
        assert_true(stats(copy).evicted > 0);
        fg_cache_close(copy);
        dir_remove(other);
    }
    fg_cache_close(c);
    free(ch);
    free(gone);
    dir_remove(dir);
}

/* Writes until the disk is full, checks that reading goes on; then `relieve` makes room again. */
static int fill_disk(const char *dir, void (*relieve)(const char *))
{
    struct log_count log = {.word = "event=write_"};
    struct fg_cache_options opt = {
        .dir = dir, .max_bytes = 64 * MIB, .log = log_counter, .log_ctx = &log};
    struct chain *ch = chain_make(1, 0, 300);
    struct fg_cache *c;
    struct fg_err err;
    uint32_t n, i;

    if (fg_cache_open(&opt, &c, &err))
        return 1;
    for (i = 0; i < 300 && stats(c).write_errors < 3; i++) {
        put_block(c, ch, stats(c).blocks, 60000); /* again what could not be written */
        fg_cache_flush(c);
    }
    n = find_blocks(c, ch);
    if (stats(c).write_errors < 3 || n < 5 || n != stats(c).blocks || log.n != 1)
        return 2;
    for (i = 0; i < n; i++)
        if (read_one(c, ch, i, 0, 60000, &err) != 1)
            return 3;
    fg_cache_close(c);
    if (fg_cache_open(&opt, &c, &err) || find_blocks(c, ch) != n)
        return 4;
    put_block(c, ch, n, 60000);
    fg_cache_flush(c);
    if (stats(c).write_errors != 1 || log.n != 2)
        return 5;
    relieve(dir);
    for (i = n; i < n + 40; i++) {
        put_block(c, ch, i, 60000);
        fg_cache_flush(c);
    }
    if (find_blocks(c, ch) != n + 40 || !strstr(log.last, "works_again"))
        return 6;
    fg_cache_close(c);
    if (fg_cache_open(&opt, &c, &err) || find_blocks(c, ch) != n + 40)
        return 7;
    for (i = 0; i < n + 40; i++)
        if (read_one(c, ch, i, 0, 60000, &err) != 1)
            return 8;
    if (stats(c).dropped_corrupt)
        return 9;
    fg_cache_close(c);
    free(ch);
    return 0;
}

static void raise_limit(const char *dir)
{
    struct rlimit lim;

    (void)dir;
    getrlimit(RLIMIT_FSIZE, &lim);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_FSIZE, &lim);
}

/* A limit on the file's size stands in for a full disk: writes fail, some of them half done. */
static void test_file_size_limit(void **state)
{
    (void)state;

    for (uint64_t odd = 0; odd < 3; odd++) {
        char *dir = dir_make();
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            struct rlimit lim;

            signal(SIGXFSZ, SIG_IGN);
            getrlimit(RLIMIT_FSIZE, &lim);
            lim.rlim_cur = 2 * MIB + odd * 20011;
            setrlimit(RLIMIT_FSIZE, &lim);
            _exit(fill_disk(dir, raise_limit));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        dir_remove(dir);
    }
}

static void grow_tmpfs(const char *dir)
{
    mount(NULL, dir, NULL, MS_REMOUNT, "size=16m");
}

/* A file system of its own, in a name space of its own, that is really full. */
static void test_full_disk(void **state)
{
    char *dir = dir_make();
    int status;
    pid_t pid = fork();
    (void)state;

    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", dir, "tmpfs", 0, "size=2m,mode=700") != 0)
            _exit(100);
        _exit(fill_disk(dir, grow_tmpfs));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
        print_message("[ SKIP ] mounting a small tmpfs is not permitted here\n");
    else
        assert_int_equal(status, 0);
    dir_remove(dir);
}

/* No room even to begin: an error, and nothing left that would hinder the next start. */
static void test_open_on_full_disk(void **state)
{
    char *dir = dir_make();
    int status;
    pid_t pid = fork();
    (void)state;

    if (pid == 0) {
        struct rlimit lim;
        struct fg_err err;
        int bad = 0;

        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &lim);
        for (rlim_t n = 0; n < 100000; n += 7000) {
            lim.rlim_cur = n;
            setrlimit(RLIMIT_FSIZE, &lim);
            int rc = try_open(dir, &err);
            bad += rc == 0 ? 0 : rc != FG_EFULL && rc != FG_EIO;
            bad += rc != 0 && !strstr(err.text, dir);
        }
        raise_limit(dir);
        _exit(bad ? 1 : try_open(dir, &err) != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_not_equal(access(path_in(dir, "data.mdb.damaged-1"), F_OK), 0);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_process),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_unknown_versions_are_refused),
        cmocka_unit_test(test_earlier_format_is_moved_aside),
        cmocka_unit_test(test_foreign_files_are_refused),
        cmocka_unit_test(test_lock_file_may_be_lost),
        cmocka_unit_test(test_copies_are_stores),
        cmocka_unit_test(test_file_size_limit),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_open_on_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
