/* Files read whole, replaced whole, and directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/dir.h"

static char *home;

static const char *at(const char *name)
{
    static char path[2][512];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", home, name);
    return path[turn];
}

static int begin(void **state)
{
    (void)state;
    home = dir_make();
    return 0;
}

static int end(void **state)
{
    (void)state;
    dir_remove(home);
    return 0;
}

static size_t entries(void)
{
    DIR *d = opendir(home);
    size_t n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_replace_and_read(void **state)
{
    struct fg_err err;
    struct stat st;
    char *bytes;
    size_t n;

    (void)state;
    assert_int_equal(fg_file_replace(at("a"), "x\0y", 3, &err), 0);
    assert_int_equal(fg_file_read(at("a"), 3, &bytes, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "x\0y\0", 4);
    free(bytes);
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fg_file_replace(at("a"), "", 0, &err), 0);
    assert_int_equal(fg_file_read(at("a"), 3, &bytes, &n, &err), 0);
    assert_int_equal(n, 0);
    free(bytes);
    assert_int_equal(entries(), 1);
}

static void test_refusals(void **state)
{
    struct fg_err err;
    char *bytes;
    size_t n;

    (void)state;
    assert_int_equal(fg_file_read(at("none"), 9, &bytes, &n, &err), FG_ENOTFOUND);
    assert_null(bytes);
    assert_int_equal(fg_file_replace(at("b"), "four", 4, &err), 0);
    assert_int_equal(fg_file_read(at("b"), 3, &bytes, &n, &err), FG_EFULL);
    assert_non_null(strstr(err.text, "has 4 bytes, may have 3 at most"));
    assert_int_equal(fg_file_read(home, 9, &bytes, &n, &err), FG_EIO);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(fg_file_read(at("pipe"), 9, &bytes, &n, &err),
                     FG_EIO); /* and waits for nobody */
    assert_non_null(strstr(err.text, "is not a regular file"));
    assert_int_equal(fg_file_replace(at("none/b"), "x", 1, &err), FG_EIO);
}

/* A disk that is full leaves the old file, and nothing beside it. */
static void test_a_write_that_fails(void **state)
{
    static char large[8192];
    struct rlimit before, small;
    struct fg_err err;
    size_t n, files = entries();
    char *bytes;

    (void)state;
    assert_int_equal(fg_file_replace(at("c"), "old", 3, &err), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){4096, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    n = (size_t)fg_file_replace(at("c"), large, sizeof large, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal((int)n, FG_EFULL);
    assert_int_equal(fg_file_read(at("c"), 9, &bytes, &n, &err), 0);
    assert_string_equal(bytes, "old");
    free(bytes);
    assert_int_equal(entries(), files + 1);
}

static void test_directories(void **state)
{
    struct fg_err err;
    struct stat st;

    (void)state;
    assert_int_equal(fg_make_dirs(at("d/e/f"), 0700, &err), 0);
    assert_int_equal(fg_make_dirs(at("d/e/f"), 0700, &err), 0);
    assert_int_equal(stat(at("d/e/f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(fg_file_replace(at("d/file"), "", 0, &err), 0);
    assert_int_equal(fg_make_dirs(at("d/file"), 0700, &err), FG_EINVAL);
    assert_int_equal(fg_make_dirs(at("d/file/g"), 0700, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "cannot make the folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace_and_read),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_write_that_fails),
        cmocka_unit_test(test_directories),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
