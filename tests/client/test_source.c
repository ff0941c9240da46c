/* What `fulgur pull` makes of a name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/cli/source.c"
#include "tests/dir.h"

static void check(const char *name, const char *hub, const char *url, const char *file)
{
    struct fg_cli_source s;
    struct fg_err err = {0};

    assert_int_equal(fg_cli_source_init(&s, name, hub, "main", &err), 0);
    assert_string_equal(s.url, url);
    assert_string_equal(s.file, file);
    fg_cli_source_finish(&s);
}

static void refused(const char *name, const char *hub, const char *why)
{
    struct fg_cli_source s;
    struct fg_err err = {0};

    assert_int_equal(fg_cli_source_init(&s, name, hub, "main", &err), FG_EINVAL);
    assert_non_null(strstr(err.text, why));
}

static void test_urls(void **state)
{
    (void)state;
    check("http://h/a/b.gguf", NULL, "http://h/a/b.gguf", "b.gguf");
    check("https://h:8/b%20c.gguf?download=true#x", NULL, "https://h:8/b%20c.gguf?download=true#x",
          "b c.gguf");
    refused("http://h/", NULL, "file's name");
    refused("http://model.gguf", NULL, "file's name");
    refused("http://h/..", NULL, "file's name");
    refused("http://h/a%2fb", NULL, "file's name");
    refused("http://h/a%0ab", NULL, "file's name");
    check("http://h/a?b/c.gguf/", NULL, "http://h/a?b/c.gguf/", "a");
}

static void test_hub(void **state)
{
    (void)state;
    check("o/r:f.gguf", "http://h:1", "http://h:1/o/r/resolve/main/f.gguf", "f.gguf");
    check("o/r:d/f g.gguf", "http://h/x/", "http://h/x/o/r/resolve/main/d/f%20g.gguf", "f g.gguf");
    check("o/r:f.gguf", "", "https://huggingface.co/o/r/resolve/main/f.gguf", "f.gguf");
    refused("model", NULL, "OWNER/REPO:FILE");
    refused("o/r", NULL, "OWNER/REPO:FILE");
    refused("o/r:", NULL, "OWNER/REPO:FILE");
    refused("o:f/g", NULL, "OWNER/REPO:FILE");
    refused("/r:f", NULL, "OWNER/REPO:FILE");
    refused("o/:f", NULL, "OWNER/REPO:FILE");
    refused("o/r/s:f", NULL, "OWNER/REPO:FILE");
    refused("o/r:../f", NULL, "OWNER/REPO:FILE");
    refused("o/r:f.gguf", "ftp://h", "HF_ENDPOINT");
}

static void test_models_dir(void **state)
{
    char *home = dir_make(), path[128];
    struct fg_err err = {0};
    char *dir;

    (void)state;
    snprintf(path, sizeof path, "%s/a/b", home);
    setenv("XDG_DATA_HOME", path, 1);
    assert_int_equal(fg_cli_models_dir(&dir, &err), 0);
    assert_int_equal(access(dir, W_OK), 0);
    assert_string_equal(dir + strlen(path), "/fulgur/models");
    while (strlen(dir) >= strlen(home)) { /* every folder is empty but for the next */
        assert_int_equal(rmdir(dir), 0);
        *strrchr(dir, '/') = '\0';
    }
    free(dir);
    free(home);
    setenv("XDG_DATA_HOME", "/dev/null/x", 1);
    assert_int_equal(fg_cli_models_dir(&dir, &err), FG_EINVAL);
    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    assert_int_equal(fg_cli_models_dir(&dir, &err), FG_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_hub),
        cmocka_unit_test(test_models_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
