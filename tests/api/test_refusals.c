/* Bodies that must be refused: the status, and that the message names the field. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define P "\"prompt\": \"x\""
#define M "\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]"

static const struct row {
    const char *body, *says, *param;
    int status;
} completions[] = {
    {"", "empty", NULL, 0},
    {"{", "line 1, column 1", NULL, 0},
    {"{\n \"prompt\": nope}", "line 2", NULL, 0},
    {"[1]", "an array", NULL, 0},
    {"3", "3", NULL, 0},
    {"{" P "} x", "end of file expected", NULL, 0},
    {"{" P ", " P "}", "duplicate", NULL, 0},
    {"{\"prompt\": \"\\ud800\"}", "line 1", NULL, 0},
    {"{\"prompt\": \"\xFF\"}", "0xff", NULL, 0},
    {"{\"prompt\": \"\xED\xA0\x80\"}", "line 1", NULL, 0},
    {"{" P ", \"seed\": 99999999999999999999}", "seed: found 1e+20, it must be an integer", "seed",
     0},
    {"{" P ", \"temperature\": 1e999}", "temperature: found 1.79769313e+308", "temperature", 0},
    {"{" P ", \"temperature\": NaN}", "invalid token", NULL, 0},
    {"{}", "prompt", "prompt", 0},
    {"{\"prompt\": null}", "prompt", "prompt", 0},
    {"{\"prompt\": 3}", "prompt: found 3", "prompt", 0},
    {"{\"prompt\": {}}", "prompt: found an object", "prompt", 0},
    {"{\"prompt\": []}", "prompt: found an empty array", "prompt", 0},
    {"{\"prompt\": [[]]}", "prompt[0]: found an empty array", "prompt", 0},
    {"{\"prompt\": [1, \"a\"]}", "prompt[1]: found the string \"a\"", "prompt", 0},
    {"{\"prompt\": [1, 2000]}", "prompt[1]: found 2000, it must be a token id from 0 to 1999",
     "prompt", 0},
    {"{\"prompt\": [-1]}", "prompt[0]: found -1", "prompt", 0},
    {"{\"prompt\": [1.5]}", "prompt[0]: found 1.5", "prompt", 0},
    {"{\"prompt\": [true]}", "prompt[0]: found true", "prompt", 0},
    {"{\"prompt\": [[1, 2000]]}", "prompt[0][1]: found 2000", "prompt[0]", 0},
    {"{\"prompt\": [\"a\", 1]}", "prompt[1]: found 1", "prompt", 0},
    {"{\"prompt\": [[1], []]}", "prompt[1]: found an empty array", "prompt", 0},
    {"{\"prompt\": [[1], [2000]]}", "prompt[1][0]: found 2000", "prompt[1]", 0},
    {"{\"prompt\": [\"a\", \"b\"], \"n\": 65}", "n: 2 prompts with 65 answers", "n", 0},
    {"{" P ", \"model\": 5}", "model: found 5", "model", 0},
    {"{" P ", \"model\": \"a\\u0000b\"}", "model: holds a NUL", "model", 0},
    {"{" P ", \"model\": \"gpt-4\"}", "this daemon serves \"tiny\"", "model", 404},
    {"{" P ", \"model\": \"/models/tiny-q8_0.gguf\"}", "tiny", "model", 404},
    {"{" P ", \"max_tokens\": -2}", "max_tokens: found -2", "max_tokens", 0},
    {"{" P ", \"n_predict\": -2}", "n_predict: found -2", "n_predict", 0},
    {"{" P ", \"max_tokens\": 2147483648}", "max_tokens: found 2147483648", "max_tokens", 0},
    {"{" P ", \"max_tokens\": 1.5}", "max_tokens: found 1.5", "max_tokens", 0},
    {"{" P ", \"max_tokens\": \"5\"}", "max_tokens: found the string \"5\"", "max_tokens", 0},
    {"{" P ", \"temperature\": -0.1}", "temperature: found -0.1", "temperature", 0},
    {"{" P ", \"temperature\": 100.5}", "from 0 to 100", "temperature", 0},
    {"{" P ", \"temperature\": \"hot\"}", "temperature: found the string \"hot\"", "temperature",
     0},
    {"{" P ", \"top_p\": 1.01}", "top_p: found 1.01", "top_p", 0},
    {"{" P ", \"min_p\": -1}", "min_p: found -1", "min_p", 0},
    {"{" P ", \"min_p\": []}", "min_p: found an array", "min_p", 0},
    {"{" P ", \"top_k\": -2}", "top_k: found -2", "top_k", 0},
    {"{" P ", \"top_k\": 4294967296}", "top_k: found 4294967296", "top_k", 0},
    {"{" P ", \"seed\": 1.5}", "seed: found 1.5", "seed", 0},
    {"{" P ", \"stop\": 5}", "stop: found 5", "stop", 0},
    {"{" P ", \"stop\": [\"a\", 1]}", "stop[1]: found 1", "stop", 0},
    {"{" P ", \"stop\": [\"a\\u0000\"]}", "stop[0]", "stop", 0},
    {"{" P
     ", \"stop\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\","
     "\"13\",\"14\",\"15\",\"16\",\"17\"]}",
     "stop: found 17 strings, at most 16", "stop", 0},
    {"{" P ", \"logprobs\": 21}", "logprobs: found 21", "logprobs", 0},
    {"{" P ", \"logprobs\": true}", "logprobs: found true", "logprobs", 0},
    {"{" P ", \"logprobs\": -1}", "logprobs: found -1", "logprobs", 0},
    {"{" P ", \"stream\": 1}", "stream: found 1", "stream", 0},
    {"{" P ", \"stream\": \"yes\"}", "stream: found the string", "stream", 0},
    {"{" P ", \"stream_options\": []}", "stream_options: found an array", "stream_options", 0},
    {"{" P ", \"stream_options\": {\"include_usage\": 1}}", "include_usage: found 1",
     "include_usage", 0},
    {"{" P ", \"fulgur\": true}", "fulgur: found true", "fulgur", 0},
    {"{" P ", \"fulgur\": {\"progress\": \"x\"}}", "progress: found the string", "progress", 0},
    {"{" P ", \"cache\": 0}", "cache: found 0", "cache", 0},
    {"{" P ", \"fulgur\": {\"cache\": \"off\"}}", "fulgur.cache: found the string \"off\"",
     "fulgur.cache", 0},
    {"{" P ", \"fulgur\": {\"cache\": false}}", "fulgur.cache: found false", "fulgur.cache", 0},
    {"{" P ", \"ignore_eos\": \"no\"}", "ignore_eos", "ignore_eos", 0},
    {"{" P ", \"n\": 0}", "n: found 0", "n", 0},
    {"{" P ", \"n\": 129}", "n: found 129", "n", 0},
    {"{" P ", \"n\": \"1\"}", "n: found the string", "n", 0},
    {"{" P ", \"best_of\": 3, \"stream\": true}", "best_of: found 3", "best_of", 0},
    {"{" P ", \"best_of\": 3, \"n\": 4}", "best_of: found 3, it must be at least n", "best_of", 0},
    {"{" P ", \"suffix\": \"end\"}", "suffix: found the string \"end\"", "suffix", 0},
    {"{" P ", \"logit_bias\": {\"x\": 1}}", "logit_bias: found the name \"x\"", "logit_bias", 0},
    {"{" P ", \"logit_bias\": {\"2000\": 1}}", "the name \"2000\"", "logit_bias", 0},
    {"{" P ", \"logit_bias\": {\"5\": 101}}", "logit_bias[\"5\"]: found 101", "logit_bias", 0},
    {"{" P ", \"logit_bias\": [1]}", "logit_bias: found an array", "logit_bias", 0},
    {"{" P ", \"presence_penalty\": 2.5}", "presence_penalty: found 2.5", "presence_penalty", 0},
    {"{" P ", \"frequency_penalty\": -3}", "frequency_penalty: found -3", "frequency_penalty", 0},
    {"{" P ", \"repetition_penalty\": 0}", "repetition_penalty: found 0", "repetition_penalty", 0},
    {"{" P ", \"stop_token_ids\": [2000]}", "stop_token_ids[0]: found 2000", "stop_token_ids", 0},
    {"{" P ", \"allowed_token_ids\": 5}", "allowed_token_ids: found 5", "allowed_token_ids", 0},
    {"{" P ", \"bad_words\": [1]}", "bad_words[0]: found 1", "bad_words", 0},
    {"{" P ", \"min_tokens\": 17}", "min_tokens: found 17, it must be at most max_tokens, 16",
     "min_tokens", 0},
    {"{" P ", \"min_tokens\": -1}", "min_tokens: found -1", "min_tokens", 0},
    {"{" P ", \"skip_special_tokens\": 1}", "skip_special_tokens: found 1", "skip_special_tokens",
     0},
    {"{" P ", \"grammar\": [1]}", "grammar: found an array, it must be a string", "grammar", 0},
    {"{" P ", \"json_schema\": 5}", "json_schema: found 5", "json_schema", 0},
    {"{" P ", \"guided_choice\": \"a\"}", "guided_choice: found the string \"a\"", "guided_choice",
     0},
    {"{" P ", \"regex\": \"a\", \"grammar\": \"root ::= \\\"a\\\"\"}", "another field", "regex", 0},
    {"{" P ", \"structured_outputs\": {\"json_object\": 1}}",
     "structured_outputs.json_object: found 1", "structured_outputs.json_object", 0},
    {"{" P ", \"structured_outputs\": {\"structural_tag\": \"x\"}}",
     "structured_outputs.structural_tag", "structured_outputs.structural_tag", 0},
};

static const struct row chats[] = {
    {"{}", "messages: found nothing", "messages", 0},
    {"{\"messages\": null}", "messages: found nothing", "messages", 0},
    {"{\"messages\": \"hi\"}", "messages: found the string", "messages", 0},
    {"{\"messages\": []}", "messages: found an empty array", "messages", 0},
    {"{\"messages\": [1]}", "messages[0]: found 1", "messages[0]", 0},
    {"{\"messages\": [{}]}", "messages[0].role: found null", "messages[0].role", 0},
    {"{\"messages\": [{\"role\": \"function\", \"content\": \"x\"}]}",
     "messages[0].role: found the string \"function\"", "messages[0].role", 0},
    {"{\"messages\": [{\"role\": 1, \"content\": \"x\"}]}", "messages[0].role: found 1",
     "messages[0].role", 0},
    {"{\"messages\": [{\"role\": \"user\"}]}", "messages[0].content: found null",
     "messages[0].content", 0},
    {"{\"messages\": [{\"role\": \"user\", \"content\": 5}]}", "messages[0].content: found 5",
     "messages[0].content", 0},
    {"{\"messages\": [{\"role\": \"user\", \"content\": [\"x\"]}]}", "messages[0].content[0]",
     "messages[0].content", 0},
    {"{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": "
     "{}}]}]}",
     "image_url", "messages[0].content", 0},
    {"{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]}",
     "messages[0].content[0]", "messages[0].content", 0},
    {"{\"messages\": [{\"role\": \"user\", \"content\": \"x\", \"name\": 1}]}",
     "messages[0].name: found 1", "messages[0].name", 0},
    {"{\"messages\": [{\"role\": \"tool\", \"content\": \"x\", \"tool_call_id\": {}}]}",
     "messages[0].tool_call_id: found an object", "messages[0].tool_call_id", 0},
    {"{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": 1}]}", "messages[0].tool_calls",
     "messages[0].tool_calls", 0},
    {"{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{}]}]}",
     "messages[0].tool_calls[0]", "messages[0].tool_calls", 0},
    {"{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"x\", "
     "\"arguments\": {}}}]}]}",
     "messages[0].tool_calls[0]", "messages[0].tool_calls", 0},
    {"{" M ", \"tools\": {}}", "tools: found an object", "tools", 0},
    {"{" M ", \"tools\": [{}]}", "tools[0]", "tools[0]", 0},
    {"{" M ", \"tools\": [{\"type\": \"retrieval\"}]}", "tools[0]", "tools[0]", 0},
    {"{" M ", \"tool_choice\": \"required\"}", "tool_choice: found the string \"required\"",
     "tool_choice", 0},
    {"{" M ", \"tool_choice\": {\"type\": \"function\"}}", "tool_choice: found an object",
     "tool_choice", 0},
    {"{" M ", \"functions\": [{}]}", "functions", "functions", 0},
    {"{" M ", \"echo\": true}", "echo: found true", "echo", 0},
    {"{" M ", \"best_of\": 2}", "best_of: found 2", "best_of", 0},
    {"{" M ", \"add_special_tokens\": true}", "add_special_tokens", "add_special_tokens", 0},
    {"{" M ", \"function_call\": \"auto\"}", "function_call", "function_call", 0},
    {"{" M ", \"response_format\": {\"type\": \"xml\"}}",
     "response_format.type: found the string \"xml\"", "response_format.type", 0},
    {"{" M ", \"response_format\": \"json\"}", "response_format", "response_format.type", 0},
    {"{" M ", \"response_format\": {\"type\": \"json_schema\"}}", "response_format.schema",
     "response_format.schema", 0},
    {"{" M
     ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\"}}}",
     "response_format.json_schema.schema: found null", "response_format.json_schema.schema", 0},
    {"{" M ", \"modalities\": [\"text\", \"audio\"]}", "modalities", "modalities", 0},
    {"{" M ", \"modalities\": [1]}", "modalities", "modalities", 0},
    {"{" M ", \"audio\": {}}", "audio", "audio", 0},
    {"{" M ", \"web_search_options\": {}}", "web_search_options", "web_search_options", 0},
    {"{" M ", \"logprobs\": 5}", "logprobs: found 5", "logprobs", 0},
    {"{" M ", \"top_logprobs\": 2}", "top_logprobs: it needs logprobs", "top_logprobs", 0},
    {"{" M ", \"logprobs\": true, \"top_logprobs\": 21}", "top_logprobs: found 21", "top_logprobs",
     0},
    {"{" M ", \"max_completion_tokens\": -5}", "max_completion_tokens: found -5",
     "max_completion_tokens", 0},
    {"{" M ", \"model\": \"other\"}", "tiny", "model", 404},
    {"{" M ", \"n\": 0}", "n: found 0", "n", 0},
};

static const struct row tokenizes[] = {
    {"{}", "content: found nothing", "content", 0},
    {"{\"content\": 1}", "content: found 1", "content", 0},
    {"{\"content\": \"x\", \"add_special\": 1}", "add_special: found 1", "add_special", 0},
    {"{\"content\": \"x\", \"parse_special\": \"\"}", "parse_special", "parse_special", 0},
    {"{\"content\": \"x\", \"model\": \"y\"}", "tiny", "model", 404},
};

static const struct row detokenizes[] = {
    {"{}", "tokens: found nothing", "tokens", 0},
    {"{\"tokens\": \"x\"}", "tokens: found the string", "tokens", 0},
    {"{\"tokens\": [5, null]}", "tokens[1]: found null", "tokens", 0},
    {"{\"tokens\": [2000]}", "tokens[0]: found 2000", "tokens", 0},
};

static void refuse(const char *path, const struct row *rows, size_t n)
{
    struct fixture f;

    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        json_t *v = ask(&f, "POST", path, rows[i].body, rows[i].status ? rows[i].status : 400);
        json_t *e = json_object_get(v, "error");
        const char *param = json_string_value(json_object_get(e, "param"));

        if (!strstr(error_message(v), rows[i].says))
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].body, error_message(v),
                     rows[i].says);
        if ((param != NULL) != (rows[i].param != NULL) ||
            (param && strcmp(param, rows[i].param) != 0))
            fail_msg("%s: param is %s", rows[i].body, param ? param : "null");
        assert_string_equal(json_string_value(json_object_get(e, "type")), "invalid_request_error");
        json_decref(v);
    }
    assert_int_equal(fake_backend_submitted(f.backend), 0);
    fixture_stop(&f);
}

#define REFUSE(path, rows) refuse(path, rows, sizeof(rows) / sizeof *(rows))

static void bad_completions_are_refused(void **state)
{
    (void)state;
    REFUSE("/v1/completions", completions);
}

static void bad_chats_are_refused(void **state)
{
    (void)state;
    REFUSE("/v1/chat/completions", chats);
}

static void bad_conversions_are_refused(void **state)
{
    (void)state;
    REFUSE("/tokenize", tokenizes);
    REFUSE("/detokenize", detokenizes);
}

/* `head`, `n` times `piece`, `tail`; the caller's. */
static char *repeated(const char *head, const char *piece, size_t n, const char *tail)
{
    char *s = malloc(strlen(head) + n * strlen(piece) + strlen(tail) + 1), *at = s;

    at = stpcpy(at, head);
    while (n--)
        at = stpcpy(at, piece);
    strcpy(at, tail);
    return s;
}

/* What a body may hold of each thing, also inside a string that is parsed later. */
static void costly_parts_are_refused(void **state)
{
    static const struct {
        const char *path, *head, *piece, *tail, *says;
        size_t n;
    } rows[] = {
        {"/v1/chat/completions",
         "{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": "
         "\"f\", \"arguments\": \"[",
         "{},", "{}]\"}}]}]}", "messages[0].tool_calls[0].function.arguments: at most", 20000},
        {"/v1/chat/completions",
         "{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": "
         "\"f\", \"arguments\": \"[",
         "1234567,", "0]\"}}]}]}", "messages[0].tool_calls[0].function.arguments: at most", 140000},
        {"/v1/completions", "{\"prompt\": \"x\", \"y\": [", "{},", "1]}", "arrays and objects",
         300000},
        {"/v1/completions", "{\"prompt\": \"x\", \"y\": [", "1,", "1]}", "values", 4300000},
        {"/v1/completions", "{\"prompt\": \"x\"", ",\"k\":1", "}", "members", 300000},
        {"/v1/completions", "{\"prompt\": \"x\", \"stop\": \"", "a", "\"}",
         "stop: found 1025 bytes, at most 1024", 1025},
        {"/detokenize", "{\"tokens\": [", "1,", "1]}", "tokens: found 1048577 ids, at most 1048576",
         1048576},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *body = repeated(rows[i].head, rows[i].piece, rows[i].n, rows[i].tail);
        json_t *v = ask(&f, "POST", rows[i].path, body, 400);

        if (!strstr(error_message(v), rows[i].says))
            fail_msg("%s does not say %s", error_message(v), rows[i].says);
        json_decref(v);
        free(body);
    }
    assert_int_equal(fake_backend_submitted(f.backend), 0);
    fixture_stop(&f);
}

/* Bodies that are small on the wire and large once parsed. */
static void costly_bodies_are_refused(void **state)
{
    const size_t n = 4 << 20;
    char *body = malloc(n + 1);
    struct fixture f;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    memset(body, '[', n);
    body[n] = '\0';
    v = ask(&f, "POST", "/v1/completions", body, 400);
    assert_non_null(strstr(error_message(v), "arrays and objects"));
    json_decref(v);
    body[100000] = '\0'; /* within the count, but deeper than any reader should follow */
    v = ask(&f, "POST", "/v1/completions", body, 400);
    assert_non_null(strstr(error_message(v), "maximum parsing depth"));
    json_decref(v);
    /* Brackets in a string cost nothing. */
    memset(body, '[', n);
    memcpy(body, "{\"prompt\": \"\\\"", 14);
    memcpy(body + n - 14, "\", \"stop\": 1} ", 14);
    v = ask(&f, "POST", "/v1/completions", body, 400);
    assert_non_null(strstr(error_message(v), "stop: found 1"));
    json_decref(v);
    free(body);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_completions_are_refused), cmocka_unit_test(bad_chats_are_refused),
        cmocka_unit_test(bad_conversions_are_refused), cmocka_unit_test(costly_bodies_are_refused),
        cmocka_unit_test(costly_parts_are_refused),
    };

    return cmocka_run_group_tests_name("api refusals", tests, NULL, NULL);
}
