/* What clients write about the prompt cache, on its way in: where it is taken, what is refused, and
 * that no template sees it. */
#include "fixture.h"

#include <string.h>

#define EPHEMERAL "\"cache_control\": {\"type\": \"ephemeral\"}"
#define HOUR "\"cache_control\": {\"type\": \"ephemeral\", \"ttl\": \"1h\"}"
#define POINT "\"prompt_cache_breakpoint\": {\"mode\": \"explicit\"}"
#define TEXT(t) "{\"type\": \"text\", \"text\": \"" t "\"}"
#define MARKED(t, m) "{\"type\": \"text\", \"text\": \"" t "\", " m "}"
#define SCHEMA "\"input_schema\": {\"type\": \"object\"}"

struct hint {
    enum fg_hint_place place;
    size_t index, at;
    uint32_t seconds;
};

static void expect_hints(const char *path, const char *body, const struct hint *want, size_t n)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    fixture_start(&f, NULL, NULL);
    job = fixture_post(&f, &c, path, body);
    r = fake_job_request(job);
    assert_int_equal(r->n_hints, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(r->hints[i].place, want[i].place);
        assert_int_equal(r->hints[i].index, want[i].index);
        assert_int_equal(r->hints[i].at, want[i].at);
        assert_int_equal(r->hints[i].seconds, want[i].seconds);
    }
    /* Nothing that a template is given has heard of them. */
    for (size_t i = 0; i < r->n_messages; i++)
        assert_true(!r->messages[i].extra_json || !strstr(r->messages[i].extra_json, "cache"));
    assert_true(!r->tools_json || !strstr(r->tools_json, "cache"));
    fake_job_done(job, FG_FINISH_STOP);
    json_decref(client_answer(&c));
    fixture_stop(&f);
}

static void anthropic(void **state)
{
    static const struct hint want[] = {{FG_HINT_TOOL, 1, 0, 3600},
                                       {FG_HINT_CONTENT, 0, 8, 3600},
                                       {FG_HINT_CONTENT, 1, 3, 300},
                                       {FG_HINT_PROMPT, 0, 0, 300}};
    static const struct hint blocks[] = {
        {FG_HINT_CONTENT, 2, 2, 300}, {FG_HINT_MESSAGE, 1, 0, 300}, {FG_HINT_MESSAGE, 2, 0, 300}};

    (void)state;
    expect_hints("/v1/messages",
                 "{\"max_tokens\": 5, \"tools\": [{\"name\": \"a\", " SCHEMA
                 "}, {\"name\": \"b\", " SCHEMA ", " HOUR
                 "}], \"system\": [" TEXT("You ") ", " MARKED("are.", HOUR) ", " TEXT(
                     "Be brief.") "], " EPHEMERAL
                                  ", \"messages\": [{\"role\": \"user\", \"content\": [" MARKED(
                                      "one", EPHEMERAL) ", " TEXT("two") "]}]}",
                 want, 4);
    /* A call and what came of it have their place where their message ends. */
    expect_hints(
        "/v1/messages",
        "{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": "
        "\"assistant\", \"content\": [{\"type\": \"tool_use\", \"id\": \"t1\", \"name\": \"a\", "
        "\"input\": {}, " EPHEMERAL "}]}, {\"role\": \"user\", \"content\": [{\"type\": "
        "\"tool_result\", \"tool_use_id\": \"t1\", " EPHEMERAL
        ", \"content\": [" MARKED("42", EPHEMERAL) "]}]}]}",
        (const struct hint[]){blocks[1], blocks[0], blocks[2]}, 3);
    expect_hints("/v1/messages",
                 "{\"max_tokens\": 5, \"cache_control\": null, \"messages\": [{\"role\": \"user\", "
                 "\"content\": [" MARKED("one", "\"cache_control\": null") "]}]}",
                 NULL, 0);
}

#define CHAT(content, more)                                                                        \
    "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "            \
    "\"content\": [" content "]}]" more "}"

static void openai(void **state)
{
    static const struct hint one[] = {{FG_HINT_CONTENT, 1, 3, 1800}};
    static const struct hint two[] = {{FG_HINT_CONTENT, 1, 3, 43200},
                                      {FG_HINT_CONTENT, 1, 6, 1800},
                                      {FG_HINT_PROMPT, 0, 0, 43200}};
    static const struct hint last[] = {{FG_HINT_CONTENT, 1, 2, 1800},
                                       {FG_HINT_CONTENT, 1, 3, 1800},
                                       {FG_HINT_CONTENT, 1, 4, 1800},
                                       {FG_HINT_CONTENT, 1, 5, 1800},
                                       {FG_HINT_PROMPT, 0, 0, 86400}};
    static const struct hint tool[] = {{FG_HINT_TOOL, 0, 0, 300}, {FG_HINT_MESSAGE, 1, 0, 3600}};

    (void)state;
    expect_hints("/v1/chat/completions", CHAT(MARKED("one", POINT) "," TEXT("two"), ""), one, 1);
    expect_hints("/v1/chat/completions",
                 CHAT(MARKED("one", POINT) "," TEXT("two"),
                      ", \"prompt_cache_options\": {\"mode\": \"explicit\"}, "
                      "\"prompt_cache_key\": \"k\", \"prompt_cache_retention\": \"in_memory\""),
                 one, 1);
    expect_hints("/v1/chat/completions",
                 CHAT(MARKED("one", POINT) "," MARKED("two", "\"prompt_cache_breakpoint\": "
                                                             "{\"mode\": \"explicit\", \"ttl\": "
                                                             "\"30m\"}"),
                      ", \"prompt_cache_options\": {\"ttl\": \"12h\"}"),
                 two, 3);
    expect_hints("/v1/chat/completions",
                 CHAT(MARKED("a", POINT) "," MARKED("b", POINT) "," MARKED("c", POINT) "," MARKED(
                          "d", POINT) "," MARKED("e", POINT),
                      ", \"prompt_cache_retention\": \"24h\""),
                 last, 5);
    expect_hints("/v1/chat/completions",
                 "{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\", " EPHEMERAL
                 "}}], \"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": "
                 "\"user\", \"content\": \"y\", " HOUR "}]}",
                 tool, 2);
    expect_hints("/v1/completions",
                 "{\"prompt\": \"x\", \"prompt_cache_options\": {\"ttl\": \"12h\"}}", two + 2, 1);
    expect_hints("/v1/responses",
                 "{\"input\": [{\"role\": \"user\", \"content\": \"S\"}, {\"role\": \"user\", "
                 "\"content\": [{\"type\": \"input_text\", \"text\": \"one\", " POINT
                 "}]}], \"prompt_cache_key\": \"k\"}",
                 one, 1);
}

/* As they would be written without. */
static void tools_are_the_same(void **state)
{
    static const char *const bodies[] = {
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"tools\": [{\"type\": "
        "\"function\", \"function\": {\"name\": \"a\", \"parameters\": {\"z\": 1.50, \"a\": "
        "{}}}}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"tools\": [{" EPHEMERAL
        ", \"type\": \"function\", \"function\": {\"name\": \"a\", \"parameters\": {\"z\": 1.50, "
        "\"a\": {}}, " POINT "}}]}"};
    char first[256];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct client c;
        struct fg_job *job;

        fixture_start(&f, NULL, NULL);
        job = fixture_post(&f, &c, "/v1/chat/completions", bodies[i]);
        if (i)
            assert_string_equal(fake_job_request(job)->tools_json, first);
        else
            snprintf(first, sizeof first, "%s", fake_job_request(job)->tools_json);
        fake_job_done(job, FG_FINISH_STOP);
        json_decref(client_answer(&c));
        fixture_stop(&f);
    }
}

#define MESSAGES(content)                                                                          \
    "{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [" content "]}]}"

static const struct {
    const char *path, *body, *message;
} refused[] = {
    {"/v1/messages", MESSAGES(MARKED("x", "\"cache_control\": 1")),
     "messages[0].content[0].cache_control: found 1, it must be"},
    {"/v1/messages", MESSAGES(MARKED("x", "\"cache_control\": {\"type\": \"forever\"}")),
     "messages[0].content[0].cache_control: found an object, it must be"},
    {"/v1/messages",
     MESSAGES(MARKED("x", "\"cache_control\": {\"type\": \"ephemeral\", \"ttl\": \"2h\"}")),
     "messages[0].content[0].cache_control.ttl: found the string \"2h\", it must be \"5m\" or"},
    {"/v1/messages", MESSAGES(MARKED("x", EPHEMERAL) "," MARKED("x", HOUR)),
     "messages[0].content[1].cache_control.ttl: found \"1h\", it must not come after"},
    {"/v1/messages",
     MESSAGES(MARKED("a", EPHEMERAL) "," MARKED("b", EPHEMERAL) "," MARKED(
         "c", EPHEMERAL) "," MARKED("d", EPHEMERAL) "," MARKED("e", EPHEMERAL)),
     "A maximum of 4 blocks with cache_control may be provided. Found 5."},
    {"/v1/messages",
     "{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": "
     "\"assistant\", \"content\": [{\"type\": \"thinking\", \"thinking\": \"x\", " EPHEMERAL
     "}]}]}",
     "messages[1].content[0].cache_control: it must be absent"},
    {"/v1/messages",
     "{\"max_tokens\": 5, \"cache_control\": [], \"messages\": [{\"role\": \"user\", "
     "\"content\": \"x\"}]}",
     "cache_control: found an array"},
    {"/v1/messages",
     "{\"max_tokens\": 5, \"tools\": [{\"name\": \"a\", " SCHEMA
     ", \"cache_control\": \"ephemeral\"}], \"messages\": [{\"role\": \"user\", \"content\": "
     "\"x\"}]}",
     "tools[0].cache_control: found the string"},
    {"/v1/messages",
     "{\"max_tokens\": 5, \"system\": [" MARKED(
         "x",
         "\"cache_control\": true") "], \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}",
     "system[0].cache_control: found true"},
    {"/v1/chat/completions", CHAT(MARKED("x", "\"prompt_cache_breakpoint\": {}"), ""),
     "messages[1].content[0].prompt_cache_breakpoint: found an object"},
    {"/v1/chat/completions",
     CHAT(MARKED("x", "\"prompt_cache_breakpoint\": {\"mode\": \"explicit\", \"ttl\": 30}"), ""),
     "messages[1].content[0].prompt_cache_breakpoint.ttl: found 30, it must be \"30m\" or"},
    {"/v1/chat/completions", CHAT(TEXT("x"), ", \"prompt_cache_options\": []"),
     "prompt_cache_options: found an array, it must be an object"},
    {"/v1/chat/completions", CHAT(TEXT("x"), ", \"prompt_cache_options\": {\"mode\": \"none\"}"),
     "prompt_cache_options.mode: found the string"},
    {"/v1/chat/completions", CHAT(TEXT("x"), ", \"prompt_cache_options\": {\"ttl\": \"1d\"}"),
     "prompt_cache_options.ttl: found the string"},
    {"/v1/chat/completions", CHAT(TEXT("x"), ", \"prompt_cache_options\": {\"prewarm\": true}"),
     "prompt_cache_options.prewarm: found true"},
    {"/v1/chat/completions", CHAT(TEXT("x"), ", \"prompt_cache_key\": 5"),
     "prompt_cache_key: found 5, it must be a string"},
    {"/v1/chat/completions", CHAT(TEXT("x"), ", \"prompt_cache_retention\": \"7d\""),
     "prompt_cache_retention: found the string \"7d\""},
    {"/v1/responses",
     "{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_text\", \"text\": \"x\", "
     "\"prompt_cache_breakpoint\": 1}]}]}",
     "input[0][0].prompt_cache_breakpoint: found 1"},
};

static void wrong_hints_are_refused(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_t *v = ask(&f, "POST", refused[i].path, refused[i].body, 400);

        if (!strstr(error_message(v), refused[i].message))
            fail_msg("%s does not hold %s", error_message(v), refused[i].message);
        json_decref(v);
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anthropic),
        cmocka_unit_test(openai),
        cmocka_unit_test(tools_are_the_same),
        cmocka_unit_test(wrong_hints_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
