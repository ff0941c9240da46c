/* How an answer ends where stop strings are looked for: cut before one, and with all that was held
 * back where none came. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fake_engine.h"
#include "fixture.h"

static int set_up(void **state)
{
    struct fixture_home *env = calloc(1, sizeof *env);

    fixture_home_init(env);
    *state = env;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture_home *env = *state;

    fixture_home_finish(env);
    free(env);
    return 0;
}

static struct fg_flow *open_flow(const struct fixture_home *env)
{
    struct fake_settings s = {.softmax = true, .lightning = true};
    struct fg_flow_options opt = {.model_path = env->model, .n_ctx = 1024, .n_seq = 2};

    fake_engine_set(&s);
    return fixture_flow(&opt);
}

static bool printable(const int32_t *tokens, uint32_t n)
{
    bool all = true;

    for (uint32_t i = 0; i < n; i++)
        all = all && tokens[i] > ' ' && tokens[i] < 0x7f;
    return all;
}

/* An answer that ends for its length with "abc", where "ab" and "bc" begin stop strings: the last
 * token gives "a" and holds "bc", and both are told. */
static void test_held_at_the_end(void **state)
{
    struct fg_flow *flow = open_flow(*state);
    uint32_t checked = 0;

    for (uint32_t n = 1; n < 60; n++) {
        struct fg_job_request req = fixture_random_request(n, 60);
        struct reply whole, part, held;
        uint32_t end = 4;

        reply_run(&whole, flow, &req);
        while (end < whole.n_tokens && !printable(&whole.tokens[end - 4], 4))
            end++;
        if (end < whole.n_tokens && whole.tokens[end - 3] != whole.tokens[end - 2]) {
            const int32_t *last = &whole.tokens[end - 3];

            req = fixture_random_request(n, (int32_t)end);
            reply_run(&part, flow, &req);
            req = fixture_random_request(n, (int32_t)end);
            req.stop = calloc(2, sizeof *req.stop);
            req.stop[0] = fixture_copy((char[]){(char)last[0], (char)last[1], 1, 0});
            req.stop[1] = fixture_copy((char[]){(char)last[1], (char)last[2], 1, 0});
            req.n_stop = 2;
            reply_run(&held, flow, &req);
            assert_int_equal(held.finish, FG_FINISH_LENGTH);
            assert_string_equal(held.text, part.text);
            reply_finish(&part);
            reply_finish(&held);
            checked++;
        }
        reply_finish(&whole);
    }
    assert_true(checked > 5);
    fg_flow_destroy(flow);
}

/* A stop string taken from the middle of an answer cuts it there, whatever the tokens are. */
static void test_stop_strings(void **state)
{
    struct fg_flow *flow = open_flow(*state);
    uint32_t checked = 0;

    for (uint32_t n = 1; n < 30; n++) {
        struct fg_job_request req = fixture_random_request(n, 60);
        struct reply whole, cut;
        const char *first;
        char stop[16];
        size_t from, to;

        reply_run(&whole, flow, &req);
        from = whole.n_text / 2;
        while ((whole.text[from] & 0xc0) == 0x80)
            from++;
        to = from + 4;
        while (to < whole.n_text && (whole.text[to] & 0xc0) == 0x80)
            to++;
        memcpy(stop, whole.text + from, to - from);
        stop[to - from] = '\0';
        if (strlen(stop) == to - from && strlen(whole.text) > to) { /* no NUL before */
            req = fixture_random_request(n, 60);
            req.stop = calloc(1, sizeof *req.stop);
            req.stop[0] = fixture_copy(stop);
            req.n_stop = 1;
            reply_run(&cut, flow, &req);
            first = strstr(whole.text, stop);
            assert_int_equal(cut.finish, FG_FINISH_STOP);
            assert_int_equal(cut.n_text, first - whole.text);
            assert_memory_equal(cut.text, whole.text, cut.n_text);
            assert_true(cut.account.completion_tokens < 60);
            reply_finish(&cut);
            checked++;
        }
        reply_finish(&whole);
    }
    assert_true(checked > 10);
    fg_flow_destroy(flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_held_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_strings, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
