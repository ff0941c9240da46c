/* What `fulgur run` shows on a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/progress.c"
#include "client/cli/terminal.c"

static void check(uint64_t done, uint64_t total, uint64_t reused, double rate, int columns,
                  const char *wanted)
{
    struct fg_client_progress p = {.done = done, .total = total, .reused = reused};
    char line[256];

    size_t n = fg_cli_progress_format(line, sizeof line, &p, rate, columns);
    assert_string_equal(line, wanted);
    assert_int_equal(n, strlen(wanted));
}

static void test_whole_line(void **state)
{
    (void)state;
    check(3072, 6800, 2048, 153, 80,
          " 45% [======###...........] 3072/6800 tokens, 2048 reused, 153 tok/s, 24 s left");
    check(0, 6800, 0, 0, 80, "  0% [........................................] 0/6800 tokens");
    check(6800, 6800, 6800, 0, 80,
          "100% [========================================] 6800/6800 tokens, 6800 reused");
    check(100, 200, 0, 4.26, 120,
          " 50% [####################....................] 100/200 tokens, 4.3 tok/s, 23 s left");
    check(0, 0, 0, 0, 60, "100% [########################################] 0/0 tokens");
}

static void test_time_left(void **state)
{
    (void)state;
    check(0, 99, 0, 1, 50, "  0% 0/99 tokens, 1.0 tok/s, 99 s left");
    check(0, 185, 0, 1, 50, "  0% 0/185 tokens, 1.0 tok/s, 3 min 05 s left");
    check(0, 78600, 0, 10, 52, "  0% 0/78600 tokens, 10 tok/s, 2 h 11 min left");
    check(0, UINT64_MAX, 0, 1e-9, 53, "  0% 0/18446744073709551615 tokens, 0.0 tok/s");
    check(99, 99, 0, 10, 41, "100% [##########] 99/99 tokens, 10 tok/s");
}

static void test_narrow(void **state)
{
    (void)state;
    check(3072, 6800, 2048, 153, 70,
          " 45% [===#......] 3072/6800 tokens, 2048 reused, 153 tok/s, 24 s left");
    check(3072, 6800, 2048, 153, 69, " 45% 3072/6800 tokens, 2048 reused, 153 tok/s, 24 s left");
    check(3072, 6800, 2048, 153, 57, " 45% 3072/6800 tokens, 2048 reused, 153 tok/s, 24 s left");
    check(3072, 6800, 2048, 153, 56, " 45% 3072/6800 tokens, 2048 reused, 153 tok/s");
    check(3072, 6800, 2048, 153, 40, " 45% 3072/6800 tokens, 2048 reused");
    check(3072, 6800, 2048, 153, 22, " 45% 3072/6800 tokens");
    check(3072, 6800, 2048, 153, 20, " 45% ");
    check(3072, 6800, 2048, 153, 5, "");
    check(3072, 6800, 2048, 153, 0, "");
    check(3072, 6800, 2048, 153, -1, "");
}

static void test_never_longer(void **state)
{
    struct fg_client_progress p = {.done = 1234567, .total = 7654321, .reused = 1000000};

    (void)state;
    for (int columns = 0; columns < 200; columns++) {
        for (size_t room = 1; room < 130; room++) {
            char *line = malloc(room); /* so that a byte too many is seen */
            assert_non_null(line);
            size_t n = fg_cli_progress_format(line, room, &p, 12.5, columns);
            assert_int_equal(strlen(line), n);
            assert_true(n < room);
            assert_true(n == 0 || n < (size_t)columns);
            free(line);
        }
    }
}

static void test_stats(void **state)
{
    struct fg_client_result r = {
        .has_usage = true,
        .prompt_tokens = 6013,
        .completion_tokens = 128,
        .has_account = true,
        .account = {.reused_tokens = 5952,
                    .recomputed_tokens = 61,
                    .source = FG_CLIENT_SOURCE_STORE,
                    .prefill_ms = 41.2,
                    .first_token_ms = 805.6,
                    .decode_ms = 5080},
        .first_text_ms = 811.7,
        .total_ms = 6000,
    };
    char line[512], small[16];

    (void)state;
    fg_cli_stats_format(line, sizeof line, &r);
    assert_string_equal(line,
                        "first token 812 ms (806 ms in the daemon), reused 5952 of 6013 prompt "
                        "tokens (store), prefill 41 ms, decode 25.0 tok/s, 128 tokens");
    assert_true(fg_cli_stats_format(small, sizeof small, &r) < sizeof small);

    strcpy(r.account.reason, "diverged");
    r.account.diverged_at = 5960;
    fg_cli_stats_format(line, sizeof line, &r);
    assert_non_null(strstr(line, "prompt tokens (store); diverged at token 5960, prefill"));

    strcpy(r.account.reason, "complete");
    r.completion_tokens = 1;
    r.account.reused_tokens = 0;
    r.account.recomputed_tokens = 7;
    r.account.source = FG_CLIENT_SOURCE_NONE;
    fg_cli_stats_format(line, sizeof line, &r);
    assert_string_equal(line,
                        "first token 812 ms (806 ms in the daemon), reused 0 of 7 prompt tokens "
                        "(none), prefill 41 ms, 1 token");

    r.has_account = false;
    r.first_text_ms = -1;
    fg_cli_stats_format(line, sizeof line, &r);
    assert_string_equal(line, "no text after 6000 ms, 6013 prompt tokens, 1 token");
}

static void test_terminal_text(void **state)
{
    static const char text[] = "a\033[31mb\r\n\tc\x7F\xC2\x9B"
                               "d\xC2\xA0\xC3\xA9\0e\xC2";
    char *out;
    size_t n;

    (void)state;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    fg_cli_terminal_write(f, text, sizeof text - 1);
    fclose(f);
    assert_string_equal(out, "a[31mb\n\tcd\xC2\xA0\xC3\xA9"
                             "e\xC2");
    free(out);
}

static void check_transfer(const struct fg_cli_transfer *t, int columns, const char *wanted)
{
    char line[256];

    size_t n = fg_cli_transfer_format(line, sizeof line, t, columns);
    assert_string_equal(line, wanted);
    assert_int_equal(n, strlen(wanted));
}

static void test_transfer(void **state)
{
    const int64_t mib = 1 << 20;

    (void)state;
    check_transfer(&(struct fg_cli_transfer){30 * mib, 60 * mib, 15 * mib, 3e6}, 62,
                   " 50% [====#####.........] 30.0/60.0 MiB, 2.9 MiB/s, 10 s left");
    check_transfer(&(struct fg_cli_transfer){30 * mib, 60 * mib, 0, 0}, 24, " 50% 30.0/60.0 MiB");
    check_transfer(&(struct fg_cli_transfer){60 * mib, 60 * mib, 0, 3e6}, 34,
                   "100% 60.0/60.0 MiB, 2.9 MiB/s");
    check_transfer(&(struct fg_cli_transfer){3 * mib / 2, -1, 0, 3e6}, 80, "1.5 MiB, 2.9 MiB/s");
    check_transfer(&(struct fg_cli_transfer){0, 0, 0, 0}, 20, "100% 0.0/0.0 MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_line),    cmocka_unit_test(test_transfer),
        cmocka_unit_test(test_time_left),     cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_never_longer),  cmocka_unit_test(test_stats),
        cmocka_unit_test(test_terminal_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
