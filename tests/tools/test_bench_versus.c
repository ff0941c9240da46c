/* fulgur-bench --vs-llama with scripts in the place of both programs: the order of the runs, what
 * each is told, the ratios, and what is said when one fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/dir.h"
#include "tools/bench/versus.h"

static struct rates r;
static char *dir, path[128];

static const char *file(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_script(const char *name, const char *body)
{
    FILE *f = fopen(file(name), "w");

    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", body);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

static char *read_log(void)
{
    static char text[4096];
    FILE *f = fopen(file("log"), "r");

    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

static int make_dir(void **state)
{
    (void)state;
    dir = dir_make();
    assert_int_equal(mkdir(file("bin"), 0700), 0);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    dir_remove(dir);
    return 0;
}

/* Ours: 10, 30, 20 tokens/s in prefill and 5 in decode; llama-bench: 20, 80, 40 and 2. Each line of
 * the log is one run. */
static void write_both(const char *llama)
{
    char body[1024];

    snprintf(body, sizeof body,
             "echo ours \"$@\" >> %s/log\n"
             "case $(grep -c ours %s/log) in 1) p=10;; 2) p=30;; *) p=20;; esac\n"
             "echo '[{\"n_gen\": 4, \"n_depth\": 64, \"avg_ts\": 5, \"device\": \"a card\"},'\n"
             "echo ' {\"n_prompt\": 16, \"n_depth\": 64, \"avg_ts\": '$p'}]'",
             dir, dir);
    write_script("ours", body);
    snprintf(body, sizeof body,
             "echo llama \"$@\" >> %s/log\n"
             "case $(grep -c llama %s/log) in 1) p=20;; 2) p=80;; *) p=40;; esac\n"
             "echo noise >&2\n"
             "echo '[{\"build_commit\": \"abc\", \"backends\": \"Vulkan\", \"n_gpu_layers\": 99,'\n"
             "echo '  \"gpu_info\": \"a card\", \"n_prompt\": 16, \"n_gen\": 0, \"n_depth\": 64,'\n"
             "echo '  \"avg_ts\": '$p'.0}, {\"n_prompt\": 0, \"n_gen\": 4, \"n_depth\": 64,'\n"
             "echo '  \"avg_ts\": 2.0}]'",
             dir, dir);
    write_script(llama, body);
}

static int measure(const char *llama_args, struct versus_side sides[2], struct fg_err *err)
{
    char ours[128];
    struct rates_options opt = {.model = "a model.gguf",
                                .device = "1",
                                .prompts = "16",
                                .gens = "4",
                                .depths = "64",
                                .llama_dir = dir,
                                .llama_args = llama_args,
                                .reps = 3};

    memset(err, 0, sizeof *err);
    snprintf(ours, sizeof ours, "%s", file("ours"));
    if (rates_init(&r, &opt, err))
        fail_msg("%s", err->text);
    return versus_measure(&r, ours, sides, err);
}

static void finish(struct versus_side sides[2])
{
    versus_finish(&r, sides);
    rates_finish(&r);
}

static char *printed(enum rates_format format, const struct versus_side sides[2])
{
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    r.opt.format = format;
    versus_print(&r, sides, f);
    fclose(f);
    return text;
}

static void test_in_turn(void **state)
{
    struct versus_side sides[2];
    struct fg_err err;
    char *text;
    (void)state;

    write_both("bin/llama-bench");
    if (measure("-ngl  99 -fa on", sides, &err))
        fail_msg("%s", err.text);
#define OURS                                                                                       \
    "ours a model.gguf -p 16 -n 4 -d 64 -r 1 -o json --kv f16 --numerics exact --device 1\n"
#define LLAMA "llama -m a model.gguf -p 16 -n 4 -d 64 -r 1 -o json -ngl 99 -fa on\n"
    assert_string_equal(read_log(), OURS LLAMA OURS LLAMA OURS LLAMA);
    assert_string_equal(sides[0].ran_on, "a card");
    assert_string_equal(sides[1].ran_on, "build abc, backends Vulkan, 99 layers offloaded, a card");
    text = printed(RATES_TABLE, sides);
    assert_non_null(strstr(text, "| prefill 16 at 64 | 20.00 | 20.00 +- 10.00 | 40.00 | 46.67 +- "
                                 "30.55 | 0.500 | 0.429 |\n"));
    assert_non_null(strstr(text, "| decode 4 at 64 | 5.00 | 5.00 +- 0.00 | 2.00 | 2.00 +- 0.00 | "
                                 "2.500 | 2.500 |\n"));
    free(text);
    text = printed(RATES_CSV, sides);
    assert_non_null(strstr(text, "\n0,4,64,3,5,5,0,2,2,0,2.5,2.5\n"));
    free(text);
    text = printed(RATES_JSON, sides);
    assert_non_null(strstr(text, "\"ratio_median\": 0.5,"));
    free(text);
    finish(sides);
}

/* Also where llama-bench lies in DIR itself, and with an f32 cache on both sides. */
static void test_bare_directory(void **state)
{
    struct versus_side sides[2];
    struct fg_err err;
    (void)state;

    write_both("llama-bench");
    if (measure(NULL, sides, &err))
        fail_msg("%s", err.text);
    assert_true(sides[1].tests[1].ts.median == 2.0);
    finish(sides);
}

static void test_failures_are_named(void **state)
{
    static const struct {
        const char *body;
        int code;
        const char *parts[3];
    } cases[] = {
        {"echo first >&2; echo 'no such layer' >&2; exit 3",
         FG_EIO,
         {"/llama-bench -m a model.gguf -p 16", "code 3", "first | no such layer"}},
        {"kill -9 $$", FG_EIO, {"signal 9", "(nothing)", ""}},
        {"echo Loading...", FG_EFORMAT, {"/llama-bench: printed no JSON array", "", ""}},
        {"echo '[{\"n_prompt\": 16, \"n_depth\": 64, \"avg_ts\": 3}]'",
         FG_EFORMAT,
         {"/llama-bench: printed no rate", "\"decode 4 at 64\"", ""}},
    };
    struct versus_side sides[2];
    struct fg_err err;
    (void)state;

    assert_int_equal(measure(NULL, sides, &err), FG_ENOTFOUND);
    assert_non_null(strstr(err.text, "no llama-bench"));
    finish(sides);
    write_both("llama-bench");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_script("llama-bench", cases[i].body);
        assert_int_equal(measure(NULL, sides, &err), cases[i].code);
        for (int k = 0; k < 3; k++)
            if (!strstr(err.text, cases[i].parts[k]))
                fail_msg("\"%s\" does not name \"%s\"", err.text, cases[i].parts[k]);
        finish(sides);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_turn, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_bare_directory, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_failures_are_named, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
