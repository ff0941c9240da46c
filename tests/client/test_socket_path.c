/* Where the daemon's socket is by default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fulgur/client.h"

static int no_environment(void **state)
{
    (void)state;
    return unsetenv("FULGUR_SOCKET") | unsetenv("XDG_RUNTIME_DIR");
}

static void test_own_variable_first(void **state)
{
    char path[FG_SOCKET_PATH_MAX];

    (void)state;
    setenv("FULGUR_SOCKET", "/elsewhere/f.sock", 1);
    setenv("XDG_RUNTIME_DIR", "/runtime", 1);
    assert_int_equal(fg_default_socket_path(path, sizeof path), 0);
    assert_string_equal(path, "/elsewhere/f.sock");
}

static void test_runtime_directory(void **state)
{
    char path[FG_SOCKET_PATH_MAX];

    (void)state;
    setenv("FULGUR_SOCKET", "", 1); /* empty counts as not set */
    setenv("XDG_RUNTIME_DIR", "/runtime/1", 1);
    fg_default_socket_path(path, sizeof path);
    if (geteuid() == 0) {
        assert_string_not_equal(path, "/runtime/1/fulgur/fulgur.sock");
    } else {
        assert_string_equal(path, "/runtime/1/fulgur/fulgur.sock");
    }
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    fg_default_socket_path(path, sizeof path);
    assert_int_equal(path[0], '/');
}

static void test_fallback(void **state)
{
    char path[FG_SOCKET_PATH_MAX], dir[64], wanted[96];
    struct stat st;

    (void)state;
    if (access("/run/fulgur", F_OK) == 0) {
        print_message("SKIP: this machine has a /run/fulgur\n");
        skip();
    }
    snprintf(dir, sizeof dir, "/tmp/fulgur-%lu", (unsigned long)geteuid());
    snprintf(wanted, sizeof wanted, "%s/fulgur.sock", dir);
    if (lstat(dir, &st) == 0) {
        print_message("SKIP: %s is there already\n", dir);
        skip();
    }
    assert_int_equal(fg_default_socket_path(path, sizeof path), 0);
    assert_string_equal(path, wanted);
    assert_int_not_equal(lstat(dir, &st), 0); /* created nothing */

    /* Others could have listened in a directory that others may write. */
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(fg_default_socket_path(path, sizeof path), 0);
    assert_int_equal(chmod(dir, 0770), 0);
    assert_int_equal(fg_default_socket_path(path, sizeof path), FG_EACCESS);
    assert_string_equal(path, wanted);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(symlink("/tmp", dir), 0);
    assert_int_equal(fg_default_socket_path(path, sizeof path), FG_EACCESS);
    assert_int_equal(unlink(dir), 0);
}

static void test_too_long(void **state)
{
    char path[FG_SOCKET_PATH_MAX + 8] = "x", name[FG_SOCKET_PATH_MAX + 1];
    struct fg_client_options options = {0};
    struct fg_client *client;
    struct fg_err err;

    (void)state;
    memset(name, 'a', sizeof name);
    name[0] = '/';
    name[FG_SOCKET_PATH_MAX] = '\0'; /* one byte more than fits */
    setenv("FULGUR_SOCKET", name, 1);
    assert_int_equal(fg_default_socket_path(path, sizeof path), FG_EINVAL);
    assert_string_equal(path, "");
    assert_int_equal(fg_client_create(NULL, &client, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "$FULGUR_SOCKET"));
    assert_null(client);
    options.socket_path = name;
    assert_int_equal(fg_client_create(&options, &client, &err), FG_EINVAL);

    name[FG_SOCKET_PATH_MAX - 1] = '\0';
    setenv("FULGUR_SOCKET", name, 1);
    assert_int_equal(fg_default_socket_path(path, sizeof path), 0);
    assert_string_equal(path, name);
    assert_int_equal(fg_default_socket_path(path, FG_SOCKET_PATH_MAX - 1), FG_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_own_variable_first, no_environment),
        cmocka_unit_test_setup(test_runtime_directory, no_environment),
        cmocka_unit_test_setup(test_fallback, no_environment),
        cmocka_unit_test_setup(test_too_long, no_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
