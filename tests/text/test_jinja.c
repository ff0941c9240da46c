/* Chat templates: what they print, where it came from, and where they end.
 *
 * tests/vectors/jinja.json holds templates with what Jinja2 prints for them, written by
 * tools/compare-jinja --write. */
#include "vectors.h"

#include <pthread.h>

#include "fulgur/error.h"
#include "text/template/jinja/jinja.h"

#define MESSAGES                                                                                   \
    "[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\" <|end|> "   \
    "\"},{\"role\":\"assistant\",\"content\":\"ok\",\"calls\":[{\"a\":1000.0,\"<|end|>\":[0.10]}]" \
    "}]"

struct outcome {
    int rc;
    struct fg_jinja_result result;
    struct fg_jinja_error error;
};

static struct outcome render(const char *template_text, const struct fg_jinja_variable *v, size_t n,
                             const struct fg_jinja_limits *limits)
{
    struct fg_jinja_input input = {.variables = v, .n_variables = n, .now = 1700000000};
    struct fg_jinja_program *p = NULL;
    struct outcome o = {0};

    o.rc = fg_jinja_compile(view(template_text), &p, &o.error);
    if (!o.rc)
        o.rc = fg_jinja_render(p, &input, limits ? limits : &fg_jinja_default_limits, &o.result,
                               &o.error);
    fg_jinja_program_destroy(p);
    return o;
}

static struct outcome render_chat(const char *template_text)
{
    const struct fg_jinja_variable v[] = {
        {view("messages"), view(MESSAGES), FG_JINJA_MESSAGE},
        {view("bos"), view("\"<s>\""), FG_JINJA_TEMPLATE},
        {view("tools"), view("[{\"name\": \"<|end|>\", \"big\": 123456789012345678901234567890}]"),
         FG_JINJA_INPUT},
    };

    return render(template_text, v, 3, NULL);
}

/* --- what Jinja2 prints --- */

static void prints_as_jinja2(void **state)
{
    json_t *vectors = load_vectors("jinja.json"), *v;
    size_t i, bad = 0;

    (void)state;
    assert_true(json_array_size(vectors) > 200);
    json_array_foreach(vectors, i, v)
    {
        const char *text = json_string_value(json_object_get(v, "template")), *name;
        json_t *variables = json_object_get(v, "variables"), *want = json_object_get(v, "text");
        struct fg_jinja_variable given[8];
        struct outcome o;
        json_t *value;
        size_t n = 0;

        json_object_foreach(variables, name, value)
        {
            assert_true(n < 8);
            given[n++] = (struct fg_jinja_variable){view(name), view(json_string_value(value)),
                                                    strcmp(name, "messages") == 0 ? FG_JINJA_MESSAGE
                                                                                  : FG_JINJA_INPUT};
        }
        o = render(text, given, n, NULL);
        if (want ? o.rc || o.result.bytes != json_string_length(want) ||
                       memcmp(o.result.text, json_string_value(want), o.result.bytes) != 0
                 : !o.rc || !o.error.message[0] || !o.error.line || !o.error.column) {
            print_error("%s: %s\n", text, o.rc ? o.error.message : o.result.text);
            bad++;
        }
        fg_jinja_result_finish(&o.result);
    }
    json_decref(vectors);
    assert_int_equal(bad, 0);
}

/* --- where it came from --- */

/* The text with each span in brackets: t, m<index>.<role>.<field> or i.<field> before a colon. */
static void assert_spans(const char *template_text, const char *want)
{
    struct outcome o = render_chat(template_text);
    char got[2048] = "";
    size_t at = 0, n = 0;

    assert_int_equal(o.rc, 0);
    for (size_t i = 0; i < o.result.n_spans; i++) {
        const struct fg_jinja_span *s = &o.result.spans[i];

        assert_int_equal(s->offset, at);
        assert_true(s->length > 0);
        at += s->length;
        if (s->source == FG_JINJA_TEMPLATE)
            n += (size_t)snprintf(got + n, sizeof got - n, "[t:");
        else if (s->source == FG_JINJA_INPUT)
            n += (size_t)snprintf(got + n, sizeof got - n, "[i.%.*s:", (int)s->field.n, s->field.p);
        else
            n += (size_t)snprintf(got + n, sizeof got - n, "[m%zu.%.*s.%.*s:", s->message,
                                  (int)s->role.n, s->role.p, (int)s->field.n, s->field.p);
        n += (size_t)snprintf(got + n, sizeof got - n, "%.*s]", (int)s->length,
                              o.result.text + s->offset);
        assert_true(n < sizeof got);
    }
    assert_int_equal(at, o.result.bytes);
    assert_string_equal(got, want);
    fg_jinja_result_finish(&o.result);
}

static void knows_where_text_came_from(void **state)
{
    static const char *const tests[][2] = {
        {"{{ bos }}<|u|>{{ messages[1].content }}!",
         "[t:<s><|u|>][m1.user.content: <|end|> ][t:!]"},
        {"{{ ('<|' ~ messages[1].content)|trim }}", "[t:<|][m1.user.content: <|end|>]"},
        {"{{ (messages[1].content + 'x' + messages[0].content)[4:14] }}",
         "[m1.user.content:nd|> ][t:x][m0.system.content:be b]"},
        {"{{ messages[1].content.replace('end', '-') }}",
         "[m1.user.content: <|][t:-][m1.user.content:|> ]"},
        {"{{ messages[0].content.split(' ')|join('<|') }}",
         "[m0.system.content:be][t:<|][m0.system.content:brief]"},
        {"{{ messages[0].content|upper }}{{ messages[0].content|title }}",
         "[m0.system.content:BE BRIEFBe Brief]"},
        {"{{ messages[0].role }}", "[m0.system.role:system]"},
        {"{{ messages[2].calls|tojson }}",
         "[m2.assistant.calls:[{\"a\": 1000.0, \"<|end|>\": [0.10]}]]"},
        {"{{ messages[2].calls }}", "[m2.assistant.calls:[{'a': 1000.0, '<|end|>': [0.10]}]]"},
        {"{{ messages[2].calls[0].a }}", "[m2.assistant.calls:1000.0]"},
        {"{% for k, v in messages[2].calls[0].items() %}{{ k }}{% endfor %}",
         "[m2.assistant.calls:a<|end|>]"},
        {"{{ tools|tojson }}",
         "[i.tools:[{\"name\": \"<|end|>\", \"big\": 123456789012345678901234567890}]]"},
        {"{{ '%s' % messages[0].content }}{{ '{:>9}'.format(messages[0].content) }}",
         "[m0.system.content:be brief][t: ][m0.system.content:be brief]"},
        {"{% macro m(x) %}({{ x }}){% endmacro %}{{ m(messages[2].content) }}",
         "[t:(][m2.assistant.content:ok][t:)]"},
        {"{% set x %}a{{ messages[2].content }}{% endset %}{% filter upper %}{{ x }}{% endfilter "
         "%}",
         "[t:A][m2.assistant.content:OK]"},
        {"{{ messages[0].content|list|reverse|join }}", "[m0.system.content:feirb eb]"},
        {"{{ messages[0].content|indent(2, true) }}", "[t:  ][m0.system.content:be brief]"},
        {"{{ messages[1].content|e }}", "[m1.user.content: &lt;|end|&gt; ]"},
        {"{{ messages|map(attribute='content')|join }}",
         "[m0.system.content:be brief][m1.user.content: <|end|> ][m2.assistant.content:ok]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        assert_spans(tests[i][0], tests[i][1]);
}

static void knows_turns_and_generations(void **state)
{
    static const char text[] =
        "{{ bos }}{% for m in messages %}{% for n in messages %}{% endfor %}<{{ m.content }}"
        "{% if m.role == 'assistant' %}{% generation %}!{% endgeneration %}{% endif %}>{% endfor "
        "%}$";
    struct outcome o = render_chat(text);
    const size_t begins[] = {3, 13, 24}, lengths[] = {10, 11, 5};

    (void)state;
    assert_int_equal(o.rc, 0);
    assert_string_equal(o.result.text, "<s><be brief>< <|end|> ><ok!>$");
    assert_int_equal(o.result.n_turns, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(o.result.turns[i].message, i);
        assert_int_equal(o.result.turns[i].offset, begins[i]);
        assert_int_equal(o.result.turns[i].length, lengths[i]);
    }
    assert_int_equal(o.result.n_generations, 1);
    assert_int_equal(o.result.generations[0].offset, 27);
    assert_int_equal(o.result.generations[0].length, 1);
    fg_jinja_result_finish(&o.result);
}

/* --- errors and limits --- */

static void says_where_an_error_is(void **state)
{
    static const struct {
        const char *text;
        enum fg_jinja_cause cause;
        unsigned line, column;
        const char *message;
    } tests[] = {
        {"a\n{{ 1 + }}", FG_JINJA_SYNTAX, 2, 8, "unexpected 'end of print statement'"},
        {"{% if x %}\n\n", FG_JINJA_SYNTAX, 2, 1,
         "the template ends before 'elif' or 'else' or 'endif'"},
        {"é{{ $ }}", FG_JINJA_SYNTAX, 1, 5, "unexpected character '$'"},
        {"\n\n  {{ x.y }}", FG_JINJA_RUN, 3, 6, "'x' is undefined"},
        {"{{ raise_exception('not\nthis') }}", FG_JINJA_RAISED, 1, 19, "not this"},
        {"{{ {}.update() }}", FG_JINJA_RUN, 1, 13,
         "access to attribute 'update' of 'dict' object is unsafe."},
        {"{{ 9223372036854775807 + 1 }}", FG_JINJA_RUN, 1, 24, "an integer is larger than 64 bits"},
        {"{{ x|nope }}", FG_JINJA_SYNTAX, 1, 6, "No filter named 'nope'."},
        {"{% include 'x' %}", FG_JINJA_SYNTAX, 1, 4,
         "templates that need others, or escape by themselves, are not supported"},
        {"\xff", FG_JINJA_SYNTAX, 1, 1, "the template is not UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        struct outcome o = render(tests[i].text, NULL, 0, NULL);

        assert_int_equal(o.rc, FG_EINVAL);
        assert_string_equal(o.error.message, tests[i].message);
        assert_int_equal(o.error.cause, tests[i].cause);
        assert_int_equal(o.error.line, tests[i].line);
        assert_int_equal(o.error.column, tests[i].column);
    }
}

static void keeps_within_its_limits(void **state)
{
    static const char *const endless[] = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'x' * 9999999999 }}",
        "{{ [1] * 9999999999 }}",
        "{{ ('x' * 9999999)|replace('', 'x' * 9999) }}",
        "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{% set n = namespace(s='x') %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor "
        "%}",
        "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
        "{{ '%99999999d' % 1 }}{{ '{:2000000000}'.format(1) }}",
        "{{ 'x'|center(2000000000) }}",
        "{{ 'x'|indent(2000000000, true) }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set n = namespace(l=[]) %}{% for a in range(9999) %}{% set n.l = [n.l] %}{% endfor "
        "%}{{ n.l }}",
    };
    char *deep = malloc(200001);

    (void)state;
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        struct outcome o = render(endless[i], NULL, 0, NULL);

        if (o.rc != FG_EFULL || o.error.cause != FG_JINJA_LIMIT)
            fail_msg("%s: %d %s", endless[i], o.rc, o.error.message);
    }
    for (const char *c = "([{-"; *c; c++) {
        struct outcome o;

        memcpy(deep, "{{ ", 3);
        memset(deep + 3, *c, 199997);
        deep[200000] = '\0';
        o = render(deep, NULL, 0, NULL);
        assert_int_equal(o.rc, FG_EFULL);
    }
    free(deep);
}

static void refuses_what_is_no_json(void **state)
{
    static const char *const bad[] = {"",      "{",         "[1,]",  "{\"a\":1,}",  "01",   "1.",
                                      "nul",   "\"\\x\"",   "\"a",   "\"\n\"",      "1 2",  "-",
                                      "[1 2]", "{\"a\" 1}", "{a:1}", "\"\\ud800\"", "\xff", "1e"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct fg_jinja_variable v = {view("x"), view(bad[i]), FG_JINJA_INPUT};
        struct outcome o = render("{{ x }}", &v, 1, NULL);

        assert_int_equal(o.rc, FG_EINVAL);
        assert_int_equal(o.error.cause, FG_JINJA_CONTEXT);
    }
}

static void keeps_numbers_as_they_were_written(void **state)
{
    static const char number[] = "[1000.0, 0.10, 1E5, 1e-7, 123456789012345678901234567890, -5]";
    const struct fg_jinja_variable v = {view("x"), view(number), FG_JINJA_INPUT};
    struct outcome o =
        render("{{ x }}{{ x|tojson }}{{ x[4] is integer }}{{ x[0] + 1 }}", &v, 1, NULL);

    (void)state;
    assert_int_equal(o.rc, 0);
    assert_string_equal(o.result.text,
                        "[1000.0, 0.10, 1E5, 1e-7, 123456789012345678901234567890, -5]"
                        "[1000.0, 0.10, 1E5, 1e-7, 123456789012345678901234567890, -5]True1001.0");
    fg_jinja_result_finish(&o.result);
}

/* --- threads --- */

static void *render_often(void *program)
{
    const struct fg_jinja_variable v = {view("messages"), view(MESSAGES), FG_JINJA_MESSAGE};
    struct fg_jinja_input input = {.variables = &v, .n_variables = 1};
    size_t good = 0;

    for (int i = 0; i < 200; i++) {
        struct fg_jinja_result r;
        struct fg_jinja_error e;

        if (fg_jinja_render(program, &input, &fg_jinja_default_limits, &r, &e) == 0)
            good += strcmp(r.text, "0be brief1 <|end|> 2ok") == 0;
        fg_jinja_result_finish(&r);
    }
    return good == 200 ? program : NULL;
}

static void is_rendered_by_several_threads(void **state)
{
    static const char text[] = "{% macro m(x) %}{{ x }}{% endmacro %}{% for m in messages %}{{ "
                               "loop.index0 }}{{ m.content }}"
                               "{% endfor %}";
    struct fg_jinja_program *p;
    struct fg_jinja_error e;
    pthread_t threads[4];
    void *result;

    (void)state;
    assert_int_equal(fg_jinja_compile(view(text), &p, &e), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, render_often, p), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, p);
    }
    fg_jinja_program_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_as_jinja2),
        cmocka_unit_test(knows_where_text_came_from),
        cmocka_unit_test(knows_turns_and_generations),
        cmocka_unit_test(says_where_an_error_is),
        cmocka_unit_test(keeps_within_its_limits),
        cmocka_unit_test(refuses_what_is_no_json),
        cmocka_unit_test(keeps_numbers_as_they_were_written),
        cmocka_unit_test(is_rendered_by_several_threads),
    };

    setenv("TZ", "UTC", 1); /* the vectors print a time */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
