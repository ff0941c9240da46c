/* Numbers at the edges, fields that say nothing and names that nobody knows mean the same on every
 * endpoint that makes a completion. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]"

/* The fields stand between the two. */
static const struct {
    const char *path, *before, *after;
} ends[] = {
    {"/v1/completions", "{\"prompt\": \"hi\", ", "}"},
    {"/v1/chat/completions", "{" USER ", ", "}"},
    {"/inference/v1/generate", "{\"token_ids\": [1], \"sampling_params\": {", "}}"},
    {"/v1/fulgur/cache/explain", "{\"prompt\": \"hi\", ", "}"},
    {"/api/chat", "{" USER ", \"stream\": false, \"options\": {", "}}"},
    {"/api/generate", "{\"prompt\": \"hi\", \"stream\": false, \"options\": {", "}}"},
    {"/api/generate", "{\"prompt\": \"hi\", \"raw\": true, \"stream\": false, \"options\": {",
     "}}"},
};

enum { ENDS = sizeof ends / sizeof *ends };

static char *body_of(size_t end, const char *fields)
{
    size_t n = strlen(ends[end].before) + strlen(fields) + strlen(ends[end].after) + 1;
    char *body = malloc(n);

    assert_non_null(body);
    snprintf(body, n, "%s%s%s", ends[end].before, fields, ends[end].after);
    return body;
}

static void edges_are_taken(void **state)
{
    static const char *const fields[] = {
        "\"seed\": -1",
        "\"seed\": 5.0",
        "\"seed\": -9223372036854775808",
        "\"top_k\": -1",
        "\"top_k\": 3.0",
        "\"top_p\": 0",
        "\"top_p\": 1e-400",
        "\"max_tokens\": 0, \"num_predict\": 0",
        "\"max_tokens\": -1, \"num_predict\": -1",
        "\"max_tokens\": 2.0, \"num_predict\": 2.0",
        "\"stop\": \"\"",
        "\"stop\": []",
        "\"stop\": [\"\", \"a\"]",
        "\"functions\": []",
        "\"temperature\": null, \"seed\": null, \"stop\": null, \"max_tokens\": null",
        "\"x\": 1e400, \"y\": [-1e400, 18446744073709551616, 123456789012345678901234567890]",
        "\"a\\u0000b\": {\"\\u0000\": \"\\u0000\"}",
    };
    const struct fake_options automatic = {.automatic = true};
    struct fixture f;

    (void)state;
    fixture_start(&f, &automatic, NULL);
    for (size_t i = 0; i < ENDS * (sizeof fields / sizeof *fields); i++) {
        char *body = body_of(i % ENDS, fields[i / ENDS]);

        json_decref(ask(&f, "POST", ends[i % ENDS].path, body, 200));
        free(body);
    }
    fixture_stop(&f);
}

static void what_is_beyond_is_refused(void **state)
{
    static const struct {
        const char *field, *name;
    } rows[] = {
        {"\"seed\": 9223372036854775808", "seed"},
        {"\"seed\": 18446744073709551616", "seed"},
        {"\"seed\": 1e400", "seed"},
        {"\"seed\": 1.5", "seed"},
        {"\"top_k\": -2", "top_k"},
        {"\"top_k\": 2147483648", "top_k"},
        {"\"top_p\": 1.5", "top_p"},
        {"\"top_p\": -0.1", "top_p"},
        {"\"temperature\": 1e400", "temperature"},
        {"\"temperature\": -1e400", "temperature"},
        {"\"temperature\": \"1\"", "temperature"},
        {"\"stop\": 5", "stop"},
        {"\"stop\": [\"a\\u0000b\"]", "stop"},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < ENDS * (sizeof rows / sizeof *rows); i++) {
        char *body = body_of(i % ENDS, rows[i / ENDS].field), *text;
        json_t *v = ask(&f, "POST", ends[i % ENDS].path, body, 400);

        text = json_dumps(json_object_get(v, "error"), JSON_ENCODE_ANY);
        if (!strstr(text, rows[i / ENDS].name))
            fail_msg("%s %s: %s", ends[i % ENDS].path, body, text);
        free(text);
        free(body);
        json_decref(v);
    }
    assert_int_equal(fake_backend_submitted(f.backend), 0);
    fixture_stop(&f);
}

/* An empty model name is none, and an assistant that only calls says nothing. */
static void what_says_nothing_is_taken(void **state)
{
#define CALLED(arguments)                                                                          \
    "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", "         \
    "\"content\": null, \"tool_calls\": [{\"id\": \"a\", \"type\": \"function\", \"function\": "   \
    "{\"name\": \"f\", \"arguments\": " arguments "}}]}]"
    static const struct {
        const char *path, *body;
    } rows[] = {
        {"/v1/completions", "{\"model\": \"\", \"prompt\": \"hi\"}"},
        {"/v1/chat/completions", "{\"model\": \"\", " CALLED("\"{}\"") "}"},
        {"/inference/v1/generate", "{\"model\": \"\", \"token_ids\": [1.0], \"priority\": 0}"},
        {"/inference/v1/generate", "{\"model\": null, \"token_ids\": [1], \"a\\u0000b\": 1e400}"},
        {"/api/chat", "{\"model\": \"\", \"stream\": false, " CALLED("{}") ", \"x\": 1e400}"},
        {"/api/generate",
         "{\"model\": \"\", \"stream\": false, \"prompt\": \"hi\", \"context\": []}"},
        {"/api/show", "{\"model\": \"\", \"a\\u0000b\": 18446744073709551616}"},
        {"/tokenize", "{\"model\": \"\", \"prompt\": \"hi\", \"x\": -1e400}"},
        {"/tokenize", "{\"model\": \"\", " CALLED("\"{}\"") "}"},
        {"/tokenize", "{\"content\": \"hi\", \"a\\u0000b\": 123456789012345678901234567890}"},
        {"/detokenize", "{\"model\": \"\", \"tokens\": [104.0], \"x\": 1e400}"},
    };
    const struct fake_options automatic = {.automatic = true};
    struct fixture f;

    (void)state;
    fixture_start(&f, &automatic, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_decref(ask(&f, "POST", rows[i].path, rows[i].body, 200));
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_are_taken),
        cmocka_unit_test(what_is_beyond_is_refused),
        cmocka_unit_test(what_says_nothing_is_taken),
    };

    return cmocka_run_group_tests_name("api everywhere", tests, NULL, NULL);
}
