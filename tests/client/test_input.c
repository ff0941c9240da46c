/* Reading and joining prompts. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/input.c"
#include "tests/dir.h"

static char *dir;

static const char *file(const char *name, const char *content, size_t n)
{
    static char paths[8][96];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, n, f), n);
    fclose(f);
    return path;
}

/* Puts a file at standard input. */
static void feed(const char *content, size_t n)
{
    assert_non_null(freopen(file("stdin", content, n), "rb", stdin));
}

static int make_dir(void **state)
{
    (void)state;
    dir = dir_make();
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    dir_remove(dir);
    return 0;
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        size_t n, wanted;
    } cases[] = {
        {"", 0, 0},
        {"a\0b", 3, 3},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, 9},
        {"\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80", 10, 10},
        {"ab\xFF", 3, 2},
        {"ab\x80", 3, 2},
        {"\xC0\x80", 2, 0},         /* overlong */
        {"\xC1\xBF", 2, 0},         /* overlong */
        {"\xE0\x9F\xBF", 3, 0},     /* overlong */
        {"\xF0\x8F\xBF\xBF", 4, 0}, /* overlong */
        {"\xED\xA0\x80", 3, 0},     /* surrogate */
        {"\xF4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", 4, 0}, /* above U+10FFFF */
        {"a\xE2\x82", 3, 1},        /* cut */
        {"\xE2\x82\xAC\xE2\x82"
         "a",
         6, 3}, /* no continuation */
        {"\xF0\x9F\x98"
         "a",
         4, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *copy = malloc(cases[i].n ? cases[i].n : 1); /* reads past the end are seen */
        assert_non_null(copy);
        memcpy(copy, cases[i].text, cases[i].n);
        assert_int_equal(fg_client_utf8_span(copy, cases[i].n), cases[i].wanted);
        free(copy);
    }
}

static void test_read(void **state)
{
    struct fg_err err;
    size_t n;
    char *text, wanted[256];

    (void)state;
    const char *path = file("a", "x\0\xC3\xA9\n", 5);
    assert_int_equal(fg_cli_input_read(path, 5, &text, &n, &err), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(text, "x\0\xC3\xA9\n\0", 6);
    free(text);

    assert_int_equal(fg_cli_input_read(path, 4, &text, &n, &err), FG_EFULL);
    assert_null(text);

    path = file("a", "good\n\xC3(", 7);
    assert_int_equal(fg_cli_input_read(path, 100, &text, &n, &err), FG_EFORMAT);
    snprintf(wanted, sizeof wanted, "%s: not UTF-8 at byte 5 (0xC3); should be UTF-8 text", path);
    assert_string_equal(err.text, wanted);
    assert_null(text);

    assert_int_equal(fg_cli_input_read("/nowhere/at/all", 100, &text, &n, &err), FG_EIO);
    assert_string_equal(err.text, "/nowhere/at/all: No such file or directory");
    assert_int_equal(fg_cli_input_read("/", 100, &text, &n, &err), FG_EIO);
    assert_string_equal(err.text, "/: Is a directory");
}

static void check(struct fg_cli_prompt from, const char *wanted, size_t document)
{
    struct fg_err err = {0};
    struct fg_cli_text text;

    if (fg_cli_prompt_read(&from, &text, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(text.n, strlen(wanted));
    assert_string_equal(text.p, wanted);
    assert_int_equal(text.document, document);
    free(text.p);
}

static void test_join(void **state)
{
    char one[] = "what", two[] = "is it", dash[] = "-";
    char *const words[] = {one, two};
    char *const piped[] = {one, dash};
    const char *files[2] = {file("a", "doc a", 5), file("b", "doc b\n", 6)};

    (void)state;
    check((struct fg_cli_prompt){.words = words, .n_words = 2}, "what is it", 0);
    check((struct fg_cli_prompt){.files = files, .n_files = 1, .words = words, .n_words = 1},
          "doc a\n\nwhat", 7);
    check((struct fg_cli_prompt){.files = files, .n_files = 2, .words = words, .n_words = 2},
          "doc a\n\ndoc b\n\nwhat is it", 14);
    check((struct fg_cli_prompt){.files = files, .n_files = 2}, "doc a\n\ndoc b\n", 0);
    check(
        (struct fg_cli_prompt){
            .files = files, .n_files = 2, .words = words, .n_words = 2, .raw = true},
        "doc adoc b\nwhat is it", 0);

    feed("piped\n\n", 7);
    check((struct fg_cli_prompt){.raw = false}, "piped\n", 0);
    feed("piped\n", 6);
    check((struct fg_cli_prompt){.raw = true}, "piped\n", 0);
    feed("piped\n", 6);
    check((struct fg_cli_prompt){.files = files, .n_files = 1, .words = piped, .n_words = 2},
          "doc a\n\nwhat piped", 7);
    feed("piped\n", 6);
    const char *from_stdin[1] = {"-"};
    check((struct fg_cli_prompt){.files = from_stdin, .n_files = 1, .words = words, .n_words = 1},
          "piped\n\nwhat", 7);
    feed("", 0);
    check((struct fg_cli_prompt){.raw = false}, "", 0);
}

static void test_join_errors(void **state)
{
    char dash[] = "-", bad[] = "ok \xFF";
    char *const dashes[] = {dash, dash};
    char *const bads[] = {dash, bad};
    struct fg_cli_prompt from = {.words = dashes, .n_words = 2};
    struct fg_cli_text text;
    struct fg_err err;

    (void)state;
    feed("x", 1);
    assert_int_equal(fg_cli_prompt_read(&from, &text, &err), FG_EINVAL);
    assert_string_equal(err.text, "standard input ('-') is asked for twice");
    assert_null(text.p);
    feed("x", 1);
    from.words = bads;
    assert_int_equal(fg_cli_prompt_read(&from, &text, &err), FG_EFORMAT);
    assert_string_equal(err.text, "argument 2: not UTF-8 at byte 3 (0xFF); should be UTF-8 text");
    assert_null(text.p);
}

static void test_size_limit(void **state)
{
    char path[96];
    const char *files[2] = {path, path};
    struct fg_cli_prompt from = {.files = files, .n_files = 2, .raw = true};
    struct fg_cli_text text;
    struct fg_err err;

    (void)state;
    /* Holes read as NUL bytes, which are UTF-8. Two halves fit exactly; one byte more does not. */
    snprintf(path, sizeof path, "%s", file("a", "", 0));
    assert_int_equal(truncate(path, (off_t)FG_CLI_INPUT_MAX / 2), 0);
    assert_int_equal(fg_cli_prompt_read(&from, &text, &err), 0);
    assert_int_equal(text.n, FG_CLI_INPUT_MAX);
    free(text.p);
    files[1] = file("b", "", 0);
    assert_int_equal(truncate(files[1], (off_t)FG_CLI_INPUT_MAX / 2 + 1), 0);
    assert_int_equal(fg_cli_prompt_read(&from, &text, &err), FG_EFULL);
    assert_non_null(strstr(err.text, files[1]));
    assert_non_null(strstr(err.text, "67108864 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),       cmocka_unit_test(test_read),
        cmocka_unit_test(test_join),       cmocka_unit_test(test_join_errors),
        cmocka_unit_test(test_size_limit),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
