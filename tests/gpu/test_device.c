/* Listing and choosing devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "open.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct list {
    struct fg_device_info *infos;
    size_t n;
    int chosen;
};

static struct list list_of(const char *select, struct fg_err *err)
{
    struct list l;

    assert_int_equal(fg_device_list(select, &l.infos, &l.n, &l.chosen, err), 0);
    return l;
}

static int rank(const char *type)
{
    static const char *const order[] = {"discrete", "integrated", "virtual", "cpu"};

    for (int i = 0; i < 4; i++)
        if (strcmp(type, order[i]) == 0)
            return i;
    return 4;
}

static void test_list(void **state)
{
    struct fg_err err;
    struct list l = list_of(NULL, &err), again = list_of("", &err);

    (void)state;
    assert_true(l.n > 0);
    assert_in_range(l.chosen, 0, l.n - 1);
    assert_int_equal(l.chosen, again.chosen);
    for (size_t i = 0; i < l.n; i++) {
        const struct fg_device_info *d = &l.infos[i];

        print_message("%zu: %s (%s, %s)%s%s\n", i, d->name, d->type, d->driver,
                      (int)i == l.chosen ? ": " : "", d->why);
        assert_true(d->name[0] && d->type[0]);
        if (!d->usable) {
            assert_true(d->why[0]);
            continue;
        }
        assert_true(rank(l.infos[l.chosen].type) <= rank(d->type));
        /* What Vulkan 1.1 promises. */
        assert_true(d->max_workgroup_threads >= 128);
        assert_true(d->max_shared_bytes >= 16384);
        assert_true(d->max_storage_range >= 1u << 27);
        assert_true(d->max_texel_elements >= 65536);
        assert_true(d->subgroup_size >= 1);
        assert_true(d->heap_bytes > 0);
        assert_true(d->driver[0]);
    }
    assert_true(l.infos[l.chosen].why[0]);
    free(l.infos);
    free(again.infos);
}

/* By index, by part of the name in either case, and what there is not. */
static void test_select(void **state)
{
    struct fg_err err;
    struct list all = list_of(NULL, &err);
    char text[64];

    (void)state;
    for (size_t i = 0; i < all.n; i++) {
        struct list l;

        if (!all.infos[i].usable)
            continue;
        snprintf(text, sizeof text, "%zu", i);
        l = list_of(text, &err);
        assert_int_equal(l.chosen, i);
        free(l.infos);
        snprintf(text, sizeof text, "%.60s", all.infos[i].name + 1);
        for (char *p = text; *p; p++)
            *p = (char)(p - text < 3 ? toupper((unsigned char)*p) : tolower((unsigned char)*p));
        l = list_of(text, &err);
        assert_true(l.chosen >= 0);
        assert_string_equal(l.infos[l.chosen].name, all.infos[i].name);
        assert_non_null(strstr(l.infos[l.chosen].why, "selected"));
        free(l.infos);
    }
    snprintf(text, sizeof text, "%zu", all.n);
    const char *const none[] = {text, "-1", "no such card", "99999999999999999999"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct list l = list_of(none[i], &err);
        struct fg_device *d = (struct fg_device *)&l;

        assert_int_equal(l.chosen, -1);
        assert_int_equal(err.code, FG_ENOTFOUND);
        free(l.infos);
        memset(&err, 0, sizeof err);
        refused(fg_device_open(none[i], NULL, &d, &err), FG_ENOTFOUND, &err, none[i]);
        assert_null(d);
        assert_non_null(strstr(err.text, all.infos[0].name)); /* names what there is */
        assert_int_equal(fg_device_open(none[i], NULL, &d, NULL), FG_ENOTFOUND);
    }
    free(all.infos);
}

static void test_open(void **state)
{
    struct fg_err err;
    struct list l = list_of(getenv("FG_TEST_DEVICE"), &err);
    struct fg_device *one = device_with_cache(NULL), *two = device_with_cache(NULL);

    (void)state;
    assert_string_equal(fg_device_info(one)->name, l.infos[l.chosen].name);
    assert_int_equal(fg_device_info(two)->subgroup_size, l.infos[l.chosen].subgroup_size);
    fg_device_close(one);
    fg_device_close(two);
    fg_device_close(NULL);
    free(l.infos);
}

/* Without any driver: an error that says what to install, in list and open. The loader reads its
 * environment once, so in a process of its own. */
static void test_no_driver(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fg_device_info *infos;
        struct fg_device *d;
        struct fg_err err = {0};
        size_t n;
        int chosen, rc;

        setenv("VK_ICD_FILENAMES", "/nonexistent/icd.json", 1);
        setenv("VK_DRIVER_FILES", "/nonexistent/icd.json", 1);
        rc = fg_device_open(NULL, NULL, &d, &err);
        if (rc != FG_ENOTFOUND || d || !strstr(err.text, "driver"))
            _exit(1);
        rc = fg_device_list(NULL, &infos, &n, &chosen, &err);
        _exit(rc == FG_ENOTFOUND && !infos && chosen == -1 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_driver), /* before this process has threads of drivers */
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
