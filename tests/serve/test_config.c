/* The daemon's command line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* It belongs to the executable, not to a library. */
#include "config.c"
#include "config_flow.c"

#define PARSE(c, err, ...) parse_words(c, err, (char *[]){"fulgurd", __VA_ARGS__, NULL})

static int parse_words(struct fg_config *c, struct fg_err *err, char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    *err = (struct fg_err){0};
    return fg_config_init(c, argc, argv, err);
}

static int set_up(void **state)
{
    (void)state;
    unsetenv("FULGUR_API_KEY");
    unsetenv("FULGUR_IMPORT_KEY");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/home/someone", 1);
    return 0;
}

static void test_plan(void **state)
{
    struct fg_flow_options flow;
    struct fg_config c;
    struct fg_err err;

    (void)state;
    unsetenv("HOME"); /* no cache, no place for pipelines: a plan needs neither */
    assert_int_equal(PARSE(&c, &err, "--plan", "-m", "a.gguf", "--json", "--ctx", "100",
                           "--parallel", "3", "--kv", "f32", "--batch", "128", "--device", "2",
                           "--vram-size", "1M"),
                     0);
    assert_int_equal(c.action, FG_CONFIG_PLAN);
    assert_true(c.json);
    fg_config_flow_options(&c, &flow);
    assert_string_equal(flow.model_path, "a.gguf");
    assert_string_equal(flow.device, "2");
    assert_int_equal(flow.kv_type, FG_KV_F32);
    assert_int_equal(flow.n_ctx, 100);
    assert_int_equal(flow.n_seq, 3);
    assert_int_equal(flow.n_batch, 128);
    assert_int_equal(flow.vram_bytes, 1 << 20);
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "--plan"), FG_EINVAL);
    assert_non_null(strstr(err.text, "--model"));
    assert_int_equal(PARSE(&c, &err, "--json", "-m", "a.gguf"), FG_EINVAL);
    assert_non_null(strstr(err.text, "--json goes with --plan"));
}

static void test_tune(void **state)
{
    struct fg_flow_options flow;
    struct fg_config c;
    struct fg_err err;

    (void)state;
    assert_int_equal(PARSE(&c, &err, "--tune", "-m", "a.gguf", "--json", "--cache-dir", "/c"), 0);
    assert_int_equal(c.action, FG_CONFIG_TUNE);
    assert_string_equal(c.pipeline_dir, "/c/pipelines");
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf"), 0);
    fg_config_flow_options(&c, &flow);
    assert_int_equal(flow.tune, FG_TUNE_ONCE);
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf", "--no-tune"), 0);
    fg_config_flow_options(&c, &flow);
    assert_int_equal(flow.tune, FG_TUNE_NEVER);
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "--tune"), FG_EINVAL);
    assert_non_null(strstr(err.text, "--model"));
}

static void test_defaults(void **state)
{
    struct fg_config c;
    struct fg_err err;

    (void)state;
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf"), 0);
    assert_int_equal(c.action, FG_CONFIG_RUN);
    assert_string_equal(c.model, "a.gguf");
    assert_string_equal(c.cache_dir, "/home/someone/.cache/fulgur");
    assert_string_equal(c.pipeline_dir, "/home/someone/.cache/fulgur/pipelines");
    assert_int_equal(c.cache_bytes, 0);
    assert_int_equal(c.kv_type, FG_KV_F16);
    assert_int_equal(c.ctx + c.parallel + c.batch, 0);
    assert_null(c.socket);
    assert_null(c.tcp);
    assert_int_equal(c.n_api_keys, 0);
    assert_null(c.tenant);
    assert_int_equal(c.log_level, FG_LOG_INFO);
    fg_config_finish(&c);
    setenv("XDG_CACHE_HOME", "/x", 1);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf"), 0);
    assert_string_equal(c.cache_dir, "/x/fulgur");
    fg_config_finish(&c);
    setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, says the standard */
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf", "--no-cache"), 0);
    assert_null(c.cache_dir);
    assert_string_equal(c.pipeline_dir, "/home/someone/.cache/fulgur/pipelines");
    fg_config_finish(&c);
    unsetenv("HOME");
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf"), FG_EINVAL);
    assert_non_null(strstr(err.text, "--cache-dir"));
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf", "--no-cache"), 0);
    assert_null(c.pipeline_dir);
    fg_config_finish(&c);
}

static void test_all(void **state)
{
    struct fg_config c;
    struct fg_err err;

    (void)state;
    assert_int_equal(PARSE(&c, &err, "--model=b.gguf", "--device", "1", "--ctx", "4096", "--kv",
                           "f32", "--numerics", "int8", "--parallel", "8", "--batch", "256",
                           "--cache-dir", "/c", "--cache-size", "1.5G", "--no-cache-texts",
                           "--cache-write-budget", "50G", "--vram-size", "6G", "--ram-size", "3G",
                           "--socket", "/s", "--tcp", "127.0.0.1:80", "--api-key", "k", "--alias",
                           "m", "--log-level", "debug", "--max-body", "2M", "--tenant",
                           "our.team-1_A", "--alias", "m2", "--any-model", "--cors",
                           "https://a.example:1", "--cors", "*", "--queue", "7"),
                     0);
    assert_string_equal(c.model, "b.gguf");
    assert_string_equal(c.device, "1");
    assert_int_equal(c.ctx, 4096);
    assert_int_equal(c.kv_type, FG_KV_F32);
    assert_int_equal(c.numerics, FG_NUMERICS_INT8);
    assert_int_equal(c.parallel, 8);
    assert_int_equal(c.batch, 256);
    assert_string_equal(c.cache_dir, "/c");
    assert_true(c.cache_bytes == UINT64_C(3) << 29);
    assert_true(c.no_cache_texts);
    assert_true(c.cache_write_budget == UINT64_C(50) << 30);
    assert_true(c.vram_bytes == UINT64_C(6) << 30);
    assert_true(c.ram_bytes == UINT64_C(3) << 30);
    assert_string_equal(c.socket, "/s");
    assert_string_equal(c.tcp, "127.0.0.1:80");
    assert_int_equal(c.n_api_keys, 1);
    assert_string_equal(c.api_keys[0], "k");
    assert_string_equal(c.tenant, "our.team-1_A");
    assert_string_equal(c.alias, "m");
    assert_int_equal(c.aliases.n, 1);
    assert_string_equal(c.aliases.list[0], "m2");
    assert_true(c.any_model);
    assert_int_equal(c.cors.n, 2);
    assert_string_equal(c.cors.list[1], "*");
    assert_int_equal(c.queue, 7);
    assert_int_equal(c.log_level, FG_LOG_DEBUG);
    assert_int_equal(c.max_body, 2 << 20);
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "--help"), 0);
    assert_int_equal(c.action, FG_CONFIG_HELP);
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "--version"), 0);
    assert_int_equal(c.action, FG_CONFIG_VERSION);
    fg_config_finish(&c);
}

static void test_refusals(void **state)
{
    static const char *const cases[][3] = {
        /* an option, its value, what the message begins with */
        {"--ctx", "0", "--ctx is `0`"},
        {"--ctx", "-5", "--ctx is `-5`"},
        {"--ctx", "12x", "--ctx is `12x`"},
        {"--ctx", "99999999999999999999", "--ctx is `99999999999999999999`"},
        {"--parallel", "65", "--parallel is `65`"},
        {"--batch", "100", "--batch is `100`; it must be a multiple of 64"},
        {"--kv", "f8", "--kv is `f8`; it must be f16 or f32"},
        {"--log-level", "loud", "--log-level is `loud`"},
        {"--cache-size", "20Q", "--cache-size is `20Q`"},
        {"--cache-size", "1K", "--cache-size is `1K`"},
        {"--vram-size", "1000", "--vram-size is `1000`"},
        {"--ram-size", "1000", "--ram-size is `1000`"},
        {"--cache-write-budget", "0", "--cache-write-budget is `0`"},
        {"--cache-write-budget", "-1G", "--cache-write-budget is `-1G`"},
        {"--max-body", "", "--max-body is ``"},
        {"--socket", "", "--socket is empty"},
        {"--api-key", "", "--api-key is empty"},
        {"--tenant", "", "--tenant: the name must be 1 to 64 letters"},
        {"--tenant", "a b", "--tenant: the name must be"},
        {"--tenant", "key:s3cret", "--tenant: the name must be"},
        {"--tenant", "\xc3\xa9", "--tenant: the name must be"},
        {"--tenant", "0123456789012345678901234567890123456789012345678901234567890123x",
         "--tenant: the name must be"},
        {"--import-key", "", "--import-key is ``: a key of packs is ed25519:"},
        {"--import-key", "ed25519:12", "--import-key is `ed25519:12`: a key of packs is"},
        {"--tcp-operations=1", NULL, "--tcp-operations=1 takes no value"},
        {"--nonsense", "1", "--nonsense is no option"},
        {"-x", "1", "-x is no option"},
        {"--no-cache=1", NULL, "--no-cache=1 takes no value"},
        {"--tcp", NULL, "--tcp needs a value"},
        {"extra", NULL, "`extra` is not expected"},
        {"--api-key-file", "/nonexistent/key", "--api-key-file: /nonexistent/key: "},
    };
    struct fg_config c;
    struct fg_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = PARSE(&c, &err, "-m", "a", (char *)cases[i][0], (char *)cases[i][1]);

        assert_int_equal(rc, i == sizeof cases / sizeof *cases - 1 ? FG_EIO : FG_EINVAL);
        if (strncmp(err.text, cases[i][2], strlen(cases[i][2])) != 0)
            fail_msg("`%s` does not begin with `%s`", err.text, cases[i][2]);
    }
    assert_int_equal(PARSE(&c, &err, "--no-cache"), FG_EINVAL);
    assert_non_null(strstr(err.text, "--model is missing"));
}

static void write_file(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void test_keys(void **state)
{
    char path[] = P_tmpdir "/fulgur-key-XXXXXX";
    int fd = mkstemp(path);
    struct fg_config c;
    struct fg_err err;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    setenv("FULGUR_API_KEY", "from environment", 1);
    assert_int_equal(PARSE(&c, &err, "-m", "a"), 0);
    assert_int_equal(c.n_api_keys, 1);
    assert_string_equal(c.api_keys[0], "from environment");
    fg_config_finish(&c);
    write_file(path, "from file\r\n", 11);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--api-key-file", path), 0);
    assert_int_equal(c.n_api_keys, 1);
    assert_string_equal(c.api_keys[0], "from file");
    fg_config_finish(&c);
    /* The last one counts, so that a key that was replaced lets nobody in. */
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--api-key-file", path, "--api-key", "x"), 0);
    assert_int_equal(c.n_api_keys, 1);
    assert_string_equal(c.api_keys[0], "x");
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--api-key", "x", "--api-key-file", path), 0);
    assert_int_equal(c.n_api_keys, 1);
    assert_string_equal(c.api_keys[0], "from file");
    fg_config_finish(&c);
    unlink(path);
}

static void test_key_files(void **state)
{
    static const char several[] = "# alice\nfirst\n\n  \t \r\n\tsecond key \r\n #third\n"
                                  "fo#rth\nlast";
    static const char *const keys[] = {"first", "second key", "fo#rth", "last"};
    static const struct {
        const char *text;
        size_t n;
        const char *says;
    } bad[] = {
        {"", 0, "has no key"},
        {"\n# none\n \n", 10, "has no key"},
        {"good\nb\0d\n", 9, "line 2 holds control characters"},
        {"good\n\nb\033d\n", 10, "line 3 holds control characters"},
    };
    char path[] = P_tmpdir "/fulgur-keys-XXXXXX", longer[3000];
    int fd = mkstemp(path);
    struct fg_config c;
    struct fg_err err;
    FILE *f;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    write_file(path, several, sizeof several - 1);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--api-key-file", path), 0);
    assert_int_equal(c.n_api_keys, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(c.api_keys[i], keys[i]);
    fg_config_finish(&c);
    memset(longer, 'k', sizeof longer);
    write_file(path, longer, sizeof longer); /* a key is never cut */
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--api-key-file", path), 0);
    assert_int_equal(strlen(c.api_keys[0]), sizeof longer);
    fg_config_finish(&c);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(path, bad[i].text, bad[i].n);
        assert_int_equal(PARSE(&c, &err, "-m", "a", "--api-key-file", path), FG_EINVAL);
        assert_non_null(strstr(err.text, bad[i].says));
        assert_null(strstr(err.text, "good"));
    }
    f = fopen(path, "w");
    for (int i = 0; f && i <= FG_MAX_API_KEYS; i++)
        fprintf(f, "key%d\n", i);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--api-key-file", path), FG_EINVAL);
    assert_non_null(strstr(err.text, "more than 1024 keys"));
    unlink(path);
}

#define KEY_A "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define KEY_B "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

static void test_import_keys(void **state)
{
    static const char file[] = "# a friend\n" KEY_A "\n\n  " KEY_B " \r\n", bad[] = KEY_A "\nx\n";
    char path[] = P_tmpdir "/fulgur-keys-XXXXXX";
    int fd = mkstemp(path);
    struct fg_flow_options flow;
    struct fg_config c;
    struct fg_err err;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(PARSE(&c, &err, "-m", "a"), 0);
    assert_int_equal(c.n_import_keys, 0);
    assert_false(c.tcp_operations);
    fg_config_finish(&c);
    setenv("FULGUR_IMPORT_KEY", KEY_A, 1);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--tcp-operations"), 0);
    assert_int_equal(c.n_import_keys, 1);
    assert_int_equal(c.import_keys[0].b[0], 0xd7);
    assert_true(c.tcp_operations);
    fg_config_finish(&c);
    /* Each adds to those before it; the environment counts only without any. */
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--import-key", KEY_B, "--import-key", KEY_B), 0);
    fg_config_flow_options(&c, &flow);
    assert_int_equal(flow.n_import_keys, 2);
    assert_int_equal(flow.import_keys[0].b[0], 0x3d);
    fg_config_finish(&c);
    write_file(path, file, sizeof file - 1);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--import-key", KEY_B, "--import-key-file", path),
                     0);
    assert_int_equal(c.n_import_keys, 3);
    assert_int_equal(c.import_keys[1].b[0], 0xd7);
    assert_int_equal(c.import_keys[2].b[0], 0x3d);
    fg_config_finish(&c);
    write_file(path, bad, sizeof bad - 1);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--import-key-file", path), FG_EINVAL);
    assert_non_null(strstr(err.text, "line 2: a key of packs is ed25519:"));
    write_file(path, "# none\n", 7);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--import-key-file", path), FG_EINVAL);
    assert_non_null(strstr(err.text, "--import-key-file: "));
    assert_non_null(strstr(err.text, "has no key"));
    unlink(path);
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--import-key-file", path), FG_EIO);
    setenv("FULGUR_IMPORT_KEY", "nonsense", 1);
    assert_int_equal(PARSE(&c, &err, "-m", "a"), FG_EINVAL);
    assert_non_null(strstr(err.text, "FULGUR_IMPORT_KEY is `nonsense`"));
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"1", 1},
        {"4096", 4096},
        {"1k", 1024},
        {"1K", 1024},
        {"20G", UINT64_C(20) << 30},
        {"0.5M", 1 << 19},
        {"2T", UINT64_C(2) << 40},
        {"0", 0},
        {"", 0},
        {"G", 0},
        {"-1G", 0},
        {"1GB", 0},
        {"1e3", 0},
        {"0x10", 0},
        {"inf", 0},
        {"nan", 0},
        {" 1", 0},
        {"99999999T", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t bytes = 0;

        assert_int_equal(fg_config_size(cases[i].text, &bytes), cases[i].bytes > 0);
        if (cases[i].bytes)
            assert_true(bytes == cases[i].bytes);
    }
}

static void test_sandbox(void **state)
{
    struct fg_config c;
    struct fg_err err;

    (void)state;
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf"), 0);
    assert_int_equal(c.sandbox, FG_SANDBOX_ON);
    assert_false(c.debuggable);
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf", "--sandbox", "off", "--debuggable"), 0);
    assert_int_equal(c.sandbox, FG_SANDBOX_OFF);
    assert_true(c.debuggable);
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf", "--sandbox", "require"), 0);
    assert_int_equal(c.sandbox, FG_SANDBOX_REQUIRE);
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf", "--sandbox", "yes"), FG_EINVAL);
    assert_string_equal(err.text, "--sandbox is `yes`; it must be off, on or require");
}

/* Read while the options are: a wrong file is no reason to load a model. */
static void test_repair_rules(void **state)
{
    char path[] = "/tmp/fg_rulesXXXXXX";
    int fd = mkstemp(path);
    struct fg_flow_options flow;
    struct fg_config c;
    struct fg_err err;

    (void)state;
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "[a]\nwhere = system\nmatch = x\naction = omit\n") > 0);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf", "--repair-rules", path), 0);
    fg_config_flow_options(&c, &flow);
    assert_string_equal(fg_repair_name(flow.repair, 1), "a");
    fg_config_finish(&c);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf"), 0);
    fg_config_flow_options(&c, &flow);
    assert_null(flow.repair); /* nothing is repaired unless it is asked for */
    fg_config_finish(&c);
    /* Of several the last one counts. */
    assert_int_equal(PARSE(&c, &err, "-m", "a", "--repair-rules", path, "--repair-rules", "/none"),
                     FG_ENOTFOUND);
    assert_true(dprintf(fd, "what\n") > 0);
    assert_int_equal(PARSE(&c, &err, "-m", "a.gguf", "--repair-rules", path), FG_EINVAL);
    assert_non_null(strstr(err.text, "--repair-rules: /tmp/fg_rules"));
    assert_non_null(strstr(err.text, ": line 5: it is none of"));
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, set_up),
        cmocka_unit_test_setup(test_plan, set_up),
        cmocka_unit_test_setup(test_repair_rules, set_up),
        cmocka_unit_test_setup(test_tune, set_up),
        cmocka_unit_test_setup(test_all, set_up),
        cmocka_unit_test_setup(test_refusals, set_up),
        cmocka_unit_test_setup(test_keys, set_up),
        cmocka_unit_test_setup(test_key_files, set_up),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test_setup(test_import_keys, set_up),
        cmocka_unit_test_setup(test_sandbox, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
