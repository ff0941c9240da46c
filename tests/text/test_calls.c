/* Calls of tools as forms of answers, in each form that models write: what the grammar lets through
 * is read back as calls of the tools, with arguments that their parameters allow. */
#include "vectors.h"

#include <stdio.h>

#include "base/buffer.h"
#include "grammar/words.h"
#include "text/grammar/form.h"
#include "text/tools/answer_tags.h"
#include "text/tools/tool_calls.h"
#include "text/tools/tool_schemas.h"

enum { WALKS = 12, MOST_BYTES = 3000, SOON = 80, LEAST_WHOLE = 4 };

#define TOOLS                                                                                      \
    "[{\"type\": \"function\", \"function\": {\"name\": \"look_up\", \"strict\": true, "           \
    "\"parameters\": {\"type\": \"object\", \"required\": [\"id\", \"q\"], "                       \
    "\"additionalProperties\": false, \"properties\": {\"id\": {\"type\": \"integer\", "           \
    "\"minimum\": 0, \"maximum\": 50}, \"deep\": {\"type\": \"boolean\"}, "                        \
    "\"q\": {\"type\": \"string\", \"maxLength\": 6}, "                                            \
    "\"op\": {\"enum\": [\"<=\", \"is\"]}, \"when\": {\"$ref\": \"#/$defs/day\"}, "                \
    "\"at\": {\"$ref\": \"#/$defs/spot\"}, \"free\": {\"type\": \"string\"}}, \"$defs\": "         \
    "{\"day\": {\"type\": \"string\", \"format\": \"date\"}, \"spot\": {\"type\": \"array\", "     \
    "\"items\": {\"type\": \"number\"}, \"maxItems\": 2}}}}}, "                                    \
    "{\"type\": \"function\", \"function\": {\"name\": \"stop\", \"parameters\": "                 \
    "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}}}]"

#define CALLS(name, many) "{\"name\": " name ", \"many\": " many ", \"tools\": " TOOLS "}"

static const enum fg_tool_form forms[] = {
    FG_TOOLS_MINIMAX, FG_TOOLS_HERMES,  FG_TOOLS_MINIMAX_XML, FG_TOOLS_QWEN_XML, FG_TOOLS_LLAMA3,
    FG_TOOLS_MISTRAL, FG_TOOLS_HARMONY, FG_TOOLS_GEMMA,       FG_TOOLS_DEEPSEEK, FG_TOOLS_LFM2};
enum { FORMS = sizeof forms / sizeof *forms, ALL_TAGS = (1 << FG_FORM_TAGS) - 1 };

/* With the tags as text, or as control tokens. False: the form has none of the kind. */
static bool form_of(size_t i, bool control, struct fg_answer_form *form)
{
    bool harmony = forms[i] == FG_TOOLS_HARMONY;

    *form = (struct fg_answer_form){
        .tools = forms[i], .reasoning = harmony ? FG_REASONING_HARMONY : FG_REASONING_THINK};
    for (size_t tag = 0; control && tag < FG_FORM_TAGS; tag++)
        if (fg_answer_form_tag(form, tag))
            form->control |= (uint16_t)(1u << tag);
    return control || !harmony;
}

static struct fg_automaton *compile(enum fg_form_kind kind, const char *text, struct fg_turn turn,
                                    const struct fg_token_trie *trie)
{
    struct fg_form form = {.kind = kind, .text = view(text), .turn = turn};
    struct fg_automaton *a = NULL;
    struct fg_grammar *g = NULL;
    struct fg_err err = {0};

    if (fg_form_compile(&form, &g, &err) || fg_automaton_create(g, trie, &a, &err))
        fail_msg("%s: %s", fg_tool_form_name(turn.form->tools), err.text);
    return a;
}

static uint32_t go(struct fg_automaton *a, uint32_t at, struct fg_str bytes)
{
    struct fg_err err = {0};

    assert_int_equal(fg_automaton_walk(a, at, bytes, &at, &err), 0);
    return at;
}

static uint32_t chance(uint64_t *seed, size_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % n);
}

/* Takes any byte that may come; the longer it is, the rather one that ends what was begun. False:
 * it got too long. */
static bool walk(struct fg_automaton *a, uint64_t *seed, struct fg_buffer *text)
{
    uint32_t at = go(a, FG_PLACE_START, (struct fg_str){text->p, text->n});

    assert_int_not_equal(at, FG_PLACE_NOWHERE);
    while (text->n < MOST_BYTES) {
        char may[256], ends[256];
        uint32_t n = 0, n_ends = 0;

        for (int b = 0; b < 256; b++) {
            char byte = (char)b;

            if (!go(a, at, (struct fg_str){&byte, 1}))
                continue;
            may[n++] = byte;
            if (b && (strchr("\"]}</>pramet", b) || b >= FG_FIRST_MARK))
                ends[n_ends++] = byte;
        }
        if (fg_automaton_accepts(a, at) && (n == 0 || chance(seed, 3) == 0))
            return true;
        assert_int_not_equal(n, 0);
        may[0] = n_ends && text->n > SOON && chance(seed, 8) ? ends[chance(seed, n_ends)]
                                                             : may[chance(seed, n)];
        fg_buffer_add(text, may, 1);
        at = go(a, at, (struct fg_str){may, 1});
    }
    return false;
}

/* The characters of UTF-8 text. */
static size_t characters(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

/* guarded: `stop` is not strict. */
static void check_arguments(const char *name, const json_t *v, bool guarded)
{
    const json_t *id = json_object_get(v, "id"), *q = json_object_get(v, "q"),
                 *at = json_object_get(v, "at");
    const char *op = json_string_value(json_object_get(v, "op"));
    const char *when = json_string_value(json_object_get(v, "when"));

    assert_true(json_is_object(v));
    if (strcmp(name, "stop") == 0) {
        assert_true(guarded || json_object_size(v) == 0);
        return;
    }
    assert_string_equal(name, "look_up");
    assert_true(json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= 50);
    assert_true(json_is_string(q) && characters(json_string_value(q)) <= 6);
    assert_true(!json_object_get(v, "deep") || json_is_boolean(json_object_get(v, "deep")));
    assert_true(!json_object_get(v, "op") ||
                (op && (strcmp(op, "<=") == 0 || strcmp(op, "is") == 0)));
    assert_true(!json_object_get(v, "when") || (when && strlen(when) == 10 && when[4] == '-'));
    assert_true(!at || (json_is_array(at) && json_array_size(at) <= 2));
    assert_true(!json_object_get(v, "free") || json_is_string(json_object_get(v, "free")));
}

static void show(const struct fg_answer_form *form, struct fg_str text)
{
    print_error("%s, control %#x: %.*s\n", fg_tool_form_name(form->tools), form->control,
                (int)text.n, text.p);
}

/* What is read of an answer: as many calls as are returned, and nothing else, but in `around`. */
static size_t read_back(const struct fg_answer_form *form, enum fg_answer_start start,
                        struct fg_str text, bool around)
{
    struct fg_tool_schemas *schemas = fg_tool_schemas_create(view(TOOLS));
    struct fg_answer_form with = *form;
    struct fg_tool_answer a;
    const json_t *call;
    size_t i, n;

    with.schemas = schemas;
    assert_true(fg_tool_answer_read(&a, &with, start, text, "id"));
    if (a.malformed || (a.text.n && !around) || !json_array_size(a.calls))
        show(form, text);
    assert_false(a.malformed);
    assert_true(!a.text.n || around);
    json_array_foreach(a.calls, i, call)
    {
        const json_t *f = json_object_get(call, "function");
        const char *arguments = json_string_value(json_object_get(f, "arguments"));
        json_t *v = json_loads(arguments, JSON_ALLOW_NUL, NULL);

        if (!v)
            show(form, text);
        check_arguments(json_string_value(json_object_get(f, "name")), v, around);
        json_decref(v);
    }
    n = json_array_size(a.calls);
    fg_tool_answer_finish(&a);
    fg_tool_schemas_destroy(schemas);
    return n;
}

/* The end of a thought that the prompt has begun. */
static void put_thought(struct fg_turn turn, struct fg_buffer *text)
{
    bool harmony = turn.form->tools == FG_TOOLS_HARMONY;
    size_t tag = harmony ? FG_TAG_END : FG_TAG_THOUGHT;
    char mark = (char)(FG_FIRST_MARK + tag);

    if (turn.start != FG_STARTS_REASONING)
        return;
    fg_buffer_str(text, "so <many");
    if (turn.form->control >> tag & 1)
        fg_buffer_add(text, &mark, 1);
    else
        fg_buffer_str(text, fg_answer_form_tag(turn.form, tag));
}

static void check_walks(struct fg_turn turn, const char *calls, size_t least, size_t most)
{
    struct fg_automaton *a = compile(FG_FORM_CALLS, calls, turn, NULL);
    uint64_t seed = 7 + turn.form->tools;
    int whole = 0;

    for (int i = 0; i < WALKS; i++) {
        struct fg_buffer text = {0};
        size_t n;

        put_thought(turn, &text);
        if (walk(a, &seed, &text)) {
            n = read_back(turn.form, turn.start, (struct fg_str){text.p, text.n}, false);
            if (n < least || n > most)
                show(turn.form, (struct fg_str){text.p, text.n});
            assert_true(n >= least && n <= most);
            whole++;
        }
        fg_buffer_finish(&text);
    }
    if (whole < LEAST_WHOLE)
        fail_msg("%s: %d whole walks", fg_tool_form_name(turn.form->tools), whole);
    fg_automaton_destroy(a);
}

/* Each form, with tags of both kinds; where the prompt has begun a thought, that comes first. */
static void test_forced(void **state)
{
    static const enum fg_answer_start starts[] = {FG_STARTS_ANYHOW, FG_STARTS_REASONING};

    (void)state;
    for (size_t i = 0; i < 2 * FORMS; i++) {
        for (size_t k = 0; k < 2; k++) {
            struct fg_answer_form form;
            struct fg_turn turn = {&form, starts[k]};

            if (!form_of(i / 2, i % 2, &form))
                continue;
            check_walks(turn, CALLS("null", "false"), 1, 1);
            check_walks(turn, CALLS("null", "true"), 1, 32);
            check_walks(turn, CALLS("\"look_up\"", "false"), 1, 1);
        }
    }
}

/* What the model's own template writes of a call is let through, forced and as a part of an answer;
 * the same with arguments that are not allowed is not. */
static void test_templates(void **state)
{
    static const char good[] = "{\\\"id\\\": 7, \\\"q\\\": \\\"ab\\\", \\\"op\\\": \\\"is\\\"}",
                      bad[] = "{\\\"id\\\": 70, \\\"q\\\": \\\"ab\\\", \\\"op\\\": \\\"is\\\"}";

    (void)state;
    for (size_t i = 0; i < FORMS; i++) {
        struct fg_answer_form form;
        struct fg_turn turn = {&form, FG_STARTS_ANYHOW};
        bool textual = form_of(i, false, &form);

        for (int k = 0; textual && k < 2; k++) {
            struct fg_automaton *a = compile(FG_FORM_CALLS, CALLS("null", "false"), turn, NULL);
            struct fg_buffer text = {0}, calls = {0};
            uint32_t at;

            fg_buffer_str(&calls, "[{\"function\": {\"name\": \"look_up\", \"arguments\": \"");
            fg_buffer_str(&calls, k ? bad : good);
            fg_buffer_str(&calls, "\"}}]");
            fg_tool_calls_append(form.tools, (struct fg_str){calls.p, calls.n}, &text);
            /* A template may leave out lines' ends that models write. */
            at = go(a, FG_PLACE_START, (struct fg_str){text.p, text.n});
            if (form.tools != FG_TOOLS_MINIMAX_XML && !k != fg_automaton_accepts(a, at)) {
                show(&form, (struct fg_str){text.p, text.n});
                fail();
            }
            fg_buffer_finish(&text);
            fg_buffer_finish(&calls);
            fg_automaton_destroy(a);
        }
    }
}

/* --- any answer, whose calls are guarded --- */

static bool takes(struct fg_automaton *a, const char *text)
{
    return fg_automaton_accepts(a, go(a, FG_PLACE_START, view(text)));
}

static void test_guarded_texts(void **state)
{
    static const struct {
        enum fg_tool_form form;
        const char *good[6], *bad[6];
    } cases[] = {
        {FG_TOOLS_HERMES,
         {"", "Hi <tool> there", "<tool_cal",
          "So:\n<tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n"
          "</tool_call>\n<tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call> done",
          "<think>a <tool_call> b</think>\n\nfine"},
         {"<tool_call>", "So <tool_call>{", "<tool_call>\n{\"name\": \"go\"",
          "<<tool_call>\n{\"name\": "
          "\"look_up\", \"arguments\": {\"id\": 51",
          "<function=stop>", "<think>a</think>\n<tool_call>\n{}"}},
        {FG_TOOLS_LLAMA3,
         {"Hi", " {\"name\": \"stop\", \"parameters\": {}}", "{\"title\": \"x\"}", "{}",
          "[1, {\"name\": 2}]", "{\"names\": 1}"},
         {"{\"name\"", "{\"name\": \"go\"", "{ \"parameters\": {}}", "[{\"name\": \"stop\"",
          "<|python_tag|>{\"name\": \"go\"", "{\"n\\u0061me\": 1}"}},
        {FG_TOOLS_QWEN_XML,
         {"a < b",
          "<tool_call>\n<function=look_up>\n<parameter=id>\n3\n</parameter>\n<parameter=q>\n"
          "x\n</parameter>\n<parameter=free>\n<b>\nx</b>\n\n</parameter>\n</function>\n</"
          "tool_call>"},
         {"<tool_call>\n<function=look_up>\n</function>\n</tool_call>",
          "<tool_call>\n<function=look_up>\n<parameter=id>\n\"3\"", "<function="}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fg_answer_form form = {.tools = cases[i].form, .reasoning = FG_REASONING_THINK};
        struct fg_turn turn = {&form, FG_STARTS_ANYHOW};
        struct fg_automaton *a = compile(FG_FORM_GUARDED, CALLS("null", "true"), turn, NULL);

        for (size_t k = 0; k < 6 && cases[i].good[k]; k++)
            if (!takes(a, cases[i].good[k]))
                fail_msg("%s: refuses %s", fg_tool_form_name(form.tools), cases[i].good[k]);
        for (size_t k = 0; k < 6 && cases[i].bad[k]; k++)
            if (takes(a, cases[i].bad[k]))
                fail_msg("%s: takes %s", fg_tool_form_name(form.tools), cases[i].bad[k]);
        fg_automaton_destroy(a);
    }
}

/* What a call begins with, behind some text, in the answer to a prompt without a thought. */
static void put_opening(const struct fg_answer_form *form, struct fg_buffer *text)
{
    char mark = (char)FG_FIRST_MARK;
    bool harmony = form->tools == FG_TOOLS_HARMONY;

    if (form->tools == FG_TOOLS_LLAMA3) {
        fg_buffer_str(text, " \n{\"name\": \"");
        return;
    }
    if (harmony) {
        char head[] = {(char)(FG_FIRST_MARK + FG_TAG_CHANNEL), 0};

        fg_buffer_str(text, head);
        fg_buffer_str(text, "commentary to=functions.");
        return;
    }
    fg_buffer_str(text, "Well, <I> say. ");
    if (form->control & 1)
        fg_buffer_add(text, &mark, 1);
    else
        fg_buffer_str(text, fg_answer_form_tag(form, FG_TAG_OPEN));
}

/* A call that an answer begins is held to the tool; with one call at most, it ends the answer. */
static void test_guarded_walks(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4 * FORMS; i++) {
        struct fg_answer_form form;
        struct fg_turn turn = {&form, FG_STARTS_ANYHOW};
        bool many = i % 4 < 2;
        struct fg_automaton *a;
        uint64_t seed = i;
        int whole = 0;

        if (!form_of(i / 4, i % 2, &form) || form.tools == FG_TOOLS_GEMMA)
            continue;
        a = compile(FG_FORM_GUARDED, many ? CALLS("null", "true") : CALLS("null", "false"), turn,
                    NULL);
        for (int k = 0; k < WALKS; k++) {
            struct fg_buffer text = {0};
            size_t n;

            put_opening(&form, &text);
            if (walk(a, &seed, &text)) {
                n = read_back(&form, turn.start, (struct fg_str){text.p, text.n}, true);
                if (!n || (!many && n > 1))
                    show(&form, (struct fg_str){text.p, text.n});
                assert_true(n >= 1 && (many || n == 1));
                whole++;
            }
            fg_buffer_finish(&text);
        }
        assert_true(whole >= LEAST_WHOLE);
        fg_automaton_destroy(a);
    }
}

/* Where a tool is not strict, its arguments are any object. */
static void test_not_strict(void **state)
{
    struct fg_answer_form form = {.tools = FG_TOOLS_HERMES};
    struct fg_turn turn = {&form, FG_STARTS_ANYHOW};
    struct fg_automaton *a = compile(FG_FORM_GUARDED, CALLS("null", "true"), turn, NULL);

    (void)state;
    assert_true(
        takes(a, "<tool_call>\n{\"name\": \"stop\", \"arguments\": {\"x\": [1]}}\n</tool_call>"));
    fg_automaton_destroy(a);
    a = compile(FG_FORM_CALLS, CALLS("null", "true"), turn, NULL);
    assert_false(
        takes(a, "<tool_call>\n{\"name\": \"stop\", \"arguments\": {\"x\": [1]}}\n</tool_call>"));
    fg_automaton_destroy(a);
}

/* --- other forms in a turn --- */

static void test_turns(void **state)
{
    struct fg_answer_form think = {.reasoning = FG_REASONING_THINK};
    struct fg_answer_form harmony = {
        .tools = FG_TOOLS_HARMONY, .reasoning = FG_REASONING_HARMONY, .control = (1 << 7) - 1};
    struct fg_turn turn = {&think, FG_STARTS_REASONING};
    struct fg_automaton *a = compile(FG_FORM_REGEX, "[0-9]+", turn, NULL);

    (void)state;
    assert_true(takes(a, "so < many </think>\n\n12"));
    assert_false(takes(a, "12"));
    assert_false(takes(a, "so</think>x"));
    fg_automaton_destroy(a);
    turn.start = FG_STARTS_ANYHOW;
    a = compile(FG_FORM_REGEX, "[0-9]+", turn, NULL);
    assert_true(takes(a, "12"));
    assert_false(takes(a, "so</think>12"));
    fg_automaton_destroy(a);
    turn.form = &harmony;
    a = compile(FG_FORM_REGEX, "[0-9]+", turn, NULL);
    assert_true(takes(a, "\xf5"
                         "final\xf6"
                         "12"));
    assert_true(takes(a, "\xf5"
                         "analysis\xf6so\xf8\xf7"
                         "assistant\xf5"
                         "final\xf6"
                         "12"));
    assert_false(takes(a, "12"));
    assert_false(takes(a, "\xf5"
                          "analysis\xf6"
                          "12"));
    fg_automaton_destroy(a);
}

/* Masks with control tokens in them are what each token says by itself. */
static void test_masks(void **state)
{
    struct fg_detok_mark marks[FG_FORM_TAGS + 1];
    struct fg_token_trie *trie;
    struct fg_err err = {0};
    struct words w;

    (void)state;
    assert_true(words_create(&w, &err));
    for (int i = 0; i <= FG_FORM_TAGS; i++)
        marks[i] = (struct fg_detok_mark){WORDS_CONTROL + 2 + i,
                                          (char)(i < FG_FORM_TAGS ? FG_FIRST_MARK + i : 0)};
    assert_int_equal(fg_token_trie_create(w.tokenizer, marks, &trie, &err), 0);
    for (size_t i = 0; i < 2 * FORMS; i++) {
        struct fg_answer_form form;
        struct fg_turn turn = {&form, FG_STARTS_ANYHOW};
        uint32_t place = FG_PLACE_START;
        struct fg_automaton *a;
        uint64_t seed = i;

        if (!form_of(i / 2, true, &form) || (form.tools == FG_TOOLS_GEMMA && i % 2))
            continue;
        a = compile(i % 2 ? FG_FORM_GUARDED : FG_FORM_CALLS, CALLS("null", "true"), turn, trie);
        for (int k = 0; k < 60; k++) {
            const struct fg_mask *mask;
            bool limit;
            const char *wrong = words_check(a, trie, place, &limit);
            size_t left;
            int32_t id = 0;

            if (wrong || limit)
                fail_msg("%s: %s", fg_tool_form_name(form.tools), wrong ? wrong : "a limit");
            assert_int_equal(fg_automaton_mask(a, place, &mask, &err), 0);
            if (!mask->n)
                break;
            for (left = chance(&seed, mask->n);; id++)
                if (mask->bits[id / 64] >> id % 64 & 1 && left-- == 0)
                    break;
            place = go(a, place, fg_token_trie_bytes(trie, id));
        }
        fg_automaton_destroy(a);
    }
    fg_token_trie_destroy(trie);
    words_destroy(&w);
}

static void test_refusals(void **state)
{
    struct fg_answer_form form = {.tools = FG_TOOLS_NONE}, gemma = {.tools = FG_TOOLS_GEMMA},
                          qwen = {.tools = FG_TOOLS_QWEN_XML},
                          harmony = {.tools = FG_TOOLS_HARMONY, .reasoning = FG_REASONING_HARMONY};
    const struct {
        enum fg_form_kind kind;
        const struct fg_answer_form *form;
        const char *text, *what;
    } cases[] = {
        {FG_FORM_CALLS, &form, CALLS("null", "true"), "cannot be forced"},
        {FG_FORM_CALLS, NULL, CALLS("null", "true"), "only answers to chats"},
        {FG_FORM_CALLS, &harmony, CALLS("null", "true"), "cannot be forced"},
        {FG_FORM_CALLS, &gemma, CALLS("\"go\"", "true"), "no such tool"},
        {FG_FORM_GUARDED, &gemma, CALLS("null", "true"), "strict"},
        {FG_FORM_CALLS, &qwen, "{\"tools\": [{\"function\": {\"name\": \"a>b\"}}]}", "such a name"},
        {FG_FORM_CALLS, &qwen,
         "{\"tools\": [{\"function\": {\"name\": \"f\", \"parameters\": {\"anyOf\": [{}]}}}]}",
         "as a whole"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fg_form f = {cases[i].kind, view(cases[i].text), {cases[i].form, FG_STARTS_ANYHOW}};
        struct fg_grammar *g = NULL;
        struct fg_err err = {0};

        assert_int_equal(fg_form_compile(&f, &g, &err), FG_EINVAL);
        if (!strstr(err.text, cases[i].what))
            fail_msg("%s, not %s", err.text, cases[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forced),        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_guarded_texts), cmocka_unit_test(test_guarded_walks),
        cmocka_unit_test(test_not_strict),    cmocka_unit_test(test_turns),
        cmocka_unit_test(test_masks),         cmocka_unit_test(test_refusals)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
