/* The pipeline cache file: written, read again, and of no harm when it is damaged, cut short,
 * unwritable or something else altogether. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "open.h"

#include "shaders/ffn/params.h"
#include "tests/dir.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The only entry of dir; fails when there are more, returns false when there is none. */
static bool only_file(const char *dir, char path[512])
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0;

    assert_non_null(d);
    while ((e = readdir(d)))
        if (e->d_name[0] != '.') {
            snprintf(path, 512, "%.255s/%.200s", dir, e->d_name);
            n++;
        }
    closedir(d);
    assert_true(n <= 1);
    return n == 1;
}

static void remove_dir(char *dir)
{
    char path[512];

    if (only_file(dir, path) && unlink(path))
        rmdir(path);
    assert_int_equal(rmdir(dir), 0);
    free(dir);
}

static unsigned char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    data = malloc(*n + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *n, f), *n);
    fclose(f);
    return data;
}

static void write_all(const char *path, const unsigned char *data, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Opens a device with the cache, computes silu(2) * 3 on it, and closes it. */
static void use(const char *dir)
{
    static const uint32_t spec[FG_SPEC_COUNT];
    struct fg_device *d = device_with_cache(dir);
    struct fg_swiglu_push push = {1, 1, 1};
    struct fg_buffer *g, *u;
    struct fg_pipeline *p;
    struct fg_cmd *c;
    struct fg_err err;

    assert_int_equal(fg_cmd_create(d, &c, &err), 0);
    assert_int_equal(fg_buffer_create(d, 4, FG_BUFFER_HOST, "a test", &g, &err), 0);
    assert_int_equal(fg_buffer_create(d, 4, FG_BUFFER_HOST, "a test", &u, &err), 0);
    *(float *)fg_buffer_map(g) = 2;
    *(float *)fg_buffer_map(u) = 3;
    if (fg_pipeline_get(d, "swiglu", spec, &p, &err))
        fail_msg("%s", err.text);
    struct fg_bind binds[] = {{g, 0, 0}, {u, 0, 0}};
    fg_cmd_begin(c);
    fg_cmd_dispatch(c, &(struct fg_dispatch){p, binds, 2, sizeof push, &push, 1, 1, 1});
    if (fg_cmd_run(c, &err))
        fail_msg("%s", err.text);
    assert_true(*(float *)fg_buffer_map(g) > 5.28477f && *(float *)fg_buffer_map(g) < 5.28479f);
    fg_buffer_destroy(g);
    fg_buffer_destroy(u);
    fg_cmd_destroy(c);
    fg_device_close(d);
}

static void test_written_and_read(void **state)
{
    char *dir = dir_make(), path[512], again[512];
    size_t n, m;
    unsigned char *data;
    struct stat st;

    (void)state;
    use(dir);
    assert_true(only_file(dir, path));
    assert_non_null(strstr(path, "/pipelines-"));
    data = read_all(path, &n);
    assert_true(n >= 8 + 32); /* a checksum, and Vulkan's header of 32 bytes */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    free(data);
    use(dir);
    assert_true(only_file(dir, again));
    assert_string_equal(again, path);
    data = read_all(path, &m);
    assert_true(m >= 8 + 32);
    free(data);
    remove_dir(dir);
}

/* Every kind of damage is an empty cache, and the next end of a process mends it. */
static void test_damage(void **state)
{
    char *dir = dir_make(), path[512];
    size_t n, m;
    unsigned char *data, *mended;

    (void)state;
    use(dir);
    assert_true(only_file(dir, path));
    data = read_all(path, &n);
    const size_t lengths[] = {0, 1, 8, 9, 40, n / 2, n - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        write_all(path, data, lengths[i]);
        use(dir);
    }
    for (size_t at = 0; at < n; at += n / 5 + 1) {
        data[at] ^= 0x10;
        write_all(path, data, n);
        use(dir);
        data[at] ^= 0x10;
    }
    memset(data, 0xff, n);
    write_all(path, data, n);
    use(dir);
    mended = read_all(path, &m);
    assert_true(m >= 8 + 32);
    assert_true(memcmp(mended, data, n < m ? n : m) != 0);
    free(data);
    free(mended);
    remove_dir(dir);
}

/* No directory, a file instead of it, a directory in the file's place. */
static void test_unwritable(void **state)
{
    char *dir = dir_make(), path[512], sub[600];

    (void)state;
    use("/nonexistent/fulgur");
    use("/proc/self/fulgur");
    use(dir);
    assert_true(only_file(dir, path));
    use(path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    use(dir);
    snprintf(sub, sizeof sub, "%s/x", path);
    assert_int_not_equal(rmdir(sub), 0);
    assert_true(only_file(dir, sub)); /* no temporary file is left */
    assert_int_equal(rmdir(path), 0);
    remove_dir(dir);
}

/* A directory that may not be written to, by a process that is not root. */
static void test_no_permission(void **state)
{
    char *dir = dir_make(), path[512];
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(chmod(dir, 0555), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* root may write everywhere */
        struct fg_device *d;

        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(100);
        if (fg_device_open(getenv("FG_TEST_DEVICE"), dir, &d, NULL))
            _exit(1);
        fg_device_close(d);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
        print_message("SKIPPED: root cannot become another user here\n");
    else
        assert_int_equal(status, 0);
    assert_false(only_file(dir, path));
    assert_int_equal(chmod(dir, 0700), 0);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_permission), /* before this process has threads of drivers */
        cmocka_unit_test(test_written_and_read),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_unwritable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
