/* Hints and repairs on their way through the flow: a state where a client wants one, what is
 * counted as written, lines that are moved, and the rules that would have moved them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fake_engine.h"
#include "fixture.h"
#include "text/repair/repair.h"

enum { CTX = 2048, HEADER = 8 /* tokens before the system's content */ };

struct env {
    struct fixture_home home;
    struct fg_flow *flow;
};

static void open_flow(struct env *env, const struct fg_repair *repair)
{
    struct fake_settings s = {.softmax = true, .lightning = true, .n_ctx = CTX};
    struct fg_flow_options opt = {.model_path = env->home.model,
                                  .repair = repair,
                                  .n_ctx = CTX,
                                  .n_seq = 2,
                                  .n_batch = 128,
                                  .n_pages = 64,
                                  .n_states = 6,
                                  .cache_dir = env->home.cache,
                                  .cache_bytes = 16 << 20};

    fake_engine_set(&s);
    env->flow = fixture_flow(&opt);
}

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    *state = env;
    return 0;
}

static int tear_down(void **state)
{
    struct env *env = *state;

    fg_flow_destroy(env->flow);
    fixture_home_finish(&env->home);
    free(env);
    return 0;
}

static struct fg_job_request chat_of(const char *system, const char *user)
{
    struct fg_job_request req = {.kind = FG_PROMPT_CHAT,
                                 .n_messages = 2,
                                 .messages = calloc(2, sizeof *req.messages),
                                 .max_tokens = 1,
                                 .n_logprobs = -1,
                                 .cache = FG_CACHE_READ_WRITE,
                                 .ignore_eos = true};

    req.messages[0].role = fixture_copy("system");
    req.messages[0].content = fixture_copy(system);
    req.messages[0].content_bytes = strlen(system);
    req.messages[1].role = fixture_copy("user");
    req.messages[1].content = fixture_copy(user);
    req.messages[1].content_bytes = strlen(user);
    return req;
}

static struct fg_job_account run(struct env *env, struct fg_job_request req)
{
    struct reply r;

    reply_run(&r, env->flow, &req);
    if (r.failed)
        fail_msg("failed: %s", r.error.text);
    reply_finish(&r);
    return r.account;
}

/* 200 letters, then what differs, then 200 more. */
static const char *text_of(const char *middle, char out[512])
{
    memset(out, 'a', 200);
    snprintf(out + 200, 312, "%s", middle);
    memset(out + 200 + strlen(middle), 'b', 200);
    out[400 + strlen(middle)] = '\0';
    return out;
}

static struct fg_job_account ask(struct env *env, const char *middle, uint32_t seconds)
{
    char text[512];
    struct fg_job_request req = chat_of(text_of(middle, text), "?");

    if (seconds) {
        req.hints[0] = (struct fg_cache_hint){FG_HINT_CONTENT, 0, 200, seconds};
        req.n_hints = 1;
    }
    return run(env, req);
}

static void a_state_where_it_is_wanted(void **state)
{
    struct env *env = *state;
    struct fg_job_account a;

    open_flow(env, NULL);
    a = ask(env, "x", 0);
    assert_int_equal(a.written_tokens, a.prompt_tokens / 64 * 64);
    assert_int_equal(a.written_long_tokens, 0);
    a = ask(env, "y", 0);
    assert_int_equal(a.reused_tokens, 0); /* nobody has kept one there */
    fg_flow_destroy(env->flow);
    fixture_home_clear(&env->home);

    open_flow(env, NULL);
    a = ask(env, "x", FG_HINT_LONG_S);
    assert_int_equal(a.written_long_tokens, (HEADER + 200) / 64 * 64);
    a = ask(env, "y", FG_HINT_LONG_S);
    assert_int_equal(a.reused_tokens, (HEADER + 200) / 64 * 64);
    assert_int_equal(a.written_tokens, a.prompt_tokens / 64 * 64 - a.reused_tokens);
    assert_int_equal(a.written_long_tokens, 0); /* that was there */
}

static void what_is_written_is_counted(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = fixture_random_request(300, 1);
    struct fg_job_account a;

    open_flow(env, NULL);
    req.hints[0] = (struct fg_cache_hint){.place = FG_HINT_PROMPT, .seconds = 2 * FG_HINT_LONG_S};
    req.n_hints = 1;
    req.cache = FG_CACHE_READ;
    a = run(env, req);
    assert_int_equal(a.written_tokens, 0);
    req = fixture_random_request(300, 1);
    req.hints[0] = (struct fg_cache_hint){.place = FG_HINT_PROMPT, .seconds = 2 * FG_HINT_LONG_S};
    req.n_hints = 1;
    a = run(env, req);
    assert_int_equal(a.written_tokens, 256);
    assert_int_equal(a.written_long_tokens, 256);
    a = run(env, fixture_random_request(300, 1));
    assert_int_equal(a.reused_tokens, 256);
    assert_int_equal(a.written_tokens, 0);
}

#define RULE "[line-now]\nwhere = system\nmatch = ^\\QNow: \\E.*$\naction = move\n"

static void lines_that_change(void **state)
{
    static const char suggested[] = RULE;
    struct env *env = *state;
    struct fg_repair *rules;
    struct fg_job_account a;

    /* It is told which line it was, and with which rule it would not be. */
    open_flow(env, NULL);
    a = ask(env, "\nNow: 10:15\n", 0);
    assert_int_equal(a.n_repaired, 0);
    assert_int_equal(a.why.rule_bytes, 0);
    a = ask(env, "\nNow: 11:47\n", 0);
    assert_int_equal(a.why.rule_bytes, strlen(suggested));
    assert_memory_equal(a.why.rule, suggested, strlen(suggested));
    a = ask(env, "\nNow: never\n", 0); /* that is no time */
    assert_int_equal(a.why.rule_bytes, 0);
    fg_flow_destroy(env->flow);
    fixture_home_clear(&env->home);

    assert_int_equal(fg_repair_create((struct fg_str){RULE, strlen(RULE)}, "f", &rules, NULL), 0);
    open_flow(env, rules);
    a = ask(env, "\nNow: 10:15\n", 0);
    assert_int_equal(a.n_repaired, 1);
    assert_string_equal(a.repaired[0], "line-now");
    a = ask(env, "\nNow: 11:47\n", 0);
    /* A state where the moved line begins. */
    assert_int_equal(a.reused_tokens, (HEADER + 401) / 64 * 64);
    a = run(env, chat_of("Nothing", "Now: 10:15"));
    assert_int_equal(a.n_repaired, 0);
    fg_flow_destroy(env->flow);
    fg_repair_destroy(rules);
    env->flow = NULL;
}

/* In the first message of the user as well, but no further. */
static void lines_of_users(void **state)
{
    static const char suggested[] =
        "[line-today-is]\nwhere = first_message\nmatch = ^\\QToday is \\E.*$\naction = move\n";
    char long_text[200];
    struct env *env = *state;
    struct fg_job_account a;

    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    open_flow(env, NULL);
    (void)run(env, chat_of(long_text, "Today is May 5 of the year in which this is written"));
    a = run(env, chat_of(long_text, "Today is June 6 of the year in which this is written"));
    assert_int_equal(a.why.rule_bytes, strlen(suggested));
    assert_memory_equal(a.why.rule, suggested, strlen(suggested));
    a = run(env, chat_of(long_text, "Please tell me a story of the year in which this is"));
    assert_int_equal(a.why.rule_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_state_where_it_is_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_written_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_that_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_of_users, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
