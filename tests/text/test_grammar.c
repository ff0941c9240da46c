/* Forms of answers: which texts they let through, and that a mask over a vocabulary is what each of
 * its tokens says by itself, at every place of answers that are walked by chance. */
#include "vectors.h"

#include <stdio.h>

#include "base/buffer.h"
#include "grammar/words.h"
#include "text/grammar/form.h"

enum { WALKS = 6, MOST_STEPS = 40 };

/* A form, texts of it, and texts that are none: each list ends with NULL. */
static const struct form_case {
    enum fg_form_kind kind;
    const char *text, *good[10], *bad[12];
} cases[] = {
    {FG_FORM_JSON_SCHEMA, "true", {"0", "[]", "{\"a\": [null]}", "\"\""}, {"", "[", "nul", "01"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"object\", \"nullable\": true, \"additionalProperties\": false,"
     " \"properties\": {\"a\": {\"type\": \"null\"}, \"b\": {\"type\": \"boolean\"}}}",
     {"null", "{}", "{\"a\":null}", "{\"a\": null, \"b\": true}", "{\"b\":false}"},
     {"{\"b\":true,\"a\":null}", "{\"c\":1}", "{\"a\":null,}", "true"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"string\", \"maxLength\": 1},"
     " {\"type\": [\"boolean\", \"null\"]}]}",
     {"12", "\"\"", "\"a\"", "\"\xe2\x82\xac\"", "\"\\u20ac\"", "\"\\ud83d\\ude00\"", "null",
      "true"},
     {"1.5", "\"ab\"", "\"\\ud83d\"", "[]", "\"\xe2\x82\"", "\"\xe2\x82\xac\xac\""}},
    {FG_FORM_JSON_SCHEMA,
     "{\"enum\": [\"a\", \"ab\", 1, 1.5, null, [true, {\"x\": \"\\u00e9\"}]]}",
     {"\"a\"", "\"ab\"", "1", "1.5", "null", "[true, {\"x\": \"\xc3\xa9\"}]",
      "[true,{\"x\":\"\xc3\xa9\"}]"},
     {"\"abc\"", "true", "[]", "1.50", "a", "\"\\u0061\""}},
    {FG_FORM_JSON_SCHEMA, "{\"const\": \"q\\\"\\n\"}", {"\"q\\\"\\n\""}, {"\"q\"", "\"q\\\"\n\""}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"string\", \"pattern\": \"^(foo|\\u00e9+)\\\\d{2}$\"}",
     {"\"foo12\"", "\"\xc3\xa9\xc3\xa9"
                   "00\""},
     {"\"foo1\"", "\"12\"", "\"xfoo12\"", "\"foo123\"", "foo12"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"array\", \"items\": {\"type\": \"integer\", \"minimum\": -1, \"maximum\": 10},"
     " \"minItems\": 2, \"maxItems\": 3}",
     {"[0,10]", "[-1, 9, 5]", "[\n  1,\n  2\n]"},
     {"[]", "[1]", "[1,2,3,4]", "[11,1]", "[-2,1]", "[1 2]", "[01,1]", "[1,2,]"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"array\", \"prefixItems\": [{\"type\": \"string\"}, {\"const\": 1}], \"items\": "
     "false}",
     {"[]", "[\"a\"]", "[\"\", 1]"},
     {"[1]", "[\"a\", 2]", "[\"a\", 1, 1]"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"array\", \"maxItems\": 0}",
     {"[]", "[ ]"},
     {"[1]", "[null]"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"string\", \"format\": \"date\"}",
     {"\"2024-02-29\"", "\"1999-12-31\""},
     {"\"2023-02-29\"", "\"1999-12-32\"", "\"99-1-1\""}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"object\", \"properties\": {\"a\": {\"const\": 1}, \"b\": {\"const\": 2}},"
     " \"required\": [\"b\", \"c\"], \"additionalProperties\": {\"type\": \"boolean\"}}",
     {"{\"b\": 2, \"c\": true}", "{\"a\": 1, \"b\": 2, \"c\": false, \"d\": true}"},
     {"{\"b\": 2}", "{\"c\": true}", "{\"a\": true, \"b\": 2, \"c\": true}", "{\"b\": 2, \"c\": 1}",
      "{\"b\": 2, \"c\": true, \"d\": 1}", "{\"b\": 2, \"c\": true, \"\\u0061\": true}"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"$ref\": \"#/$defs/node\", \"$defs\": {\"node\": {\"type\": \"object\", "
     "\"additionalProperties\":"
     " false, \"properties\": {\"next\": {\"anyOf\": [{\"$ref\": \"#/$defs/node\"}, {\"type\":"
     " \"null\"}]}}, \"required\": [\"next\"]}}}",
     {"{\"next\": null}", "{\"next\": {\"next\": {\"next\": null}}}"},
     {"{}", "{\"next\": {\"next\": }}", "{\"next\": {\"next\": null}", "null"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"number\", \"exclusiveMinimum\": -0.5, \"maximum\": 2.5}",
     {"0", "-0.4", "2.5", "2.50", "1.25", "-0.49999"},
     {"-0.5", "2.51", "3", "-1", "2.500001", ".5", "1e1"}},
    {FG_FORM_JSON_SCHEMA,
     "{\"type\": \"integer\", \"minimum\": 18, \"maximum\": 120}",
     {"18", "99", "120", "100"},
     {"17", "121", "1", "-18", "018", "18.0", "1e2"}},
    {FG_FORM_JSON_OBJECT,
     "",
     {"{}", "{\"a\": {\"b\": [1e5]}}"},
     {"[]", "1", "{\"a\"}", "{\"a\": 1"}},
    {FG_FORM_GBNF,
     "root ::= (\"a\" | [^x-z\\n]{2,3} item*)? end # so\nitem ::= \"(\" root \")\"\nend ::= [0-9]+ "
     "| \"\\u20ac\"",
     {"1", "a12", "bc7", "\xe2\x82\xac", "ab(a1)(2)\xe2\x82\xac"},
     {"", "a", "b1x", "xy1", "ab(a)1", "\xe2\x82", "ab(1("}},
    {FG_FORM_GBNF,
     "root ::= expr\nexpr ::= term (\"+\" term)*\nterm ::= [0-9]{1,2} | \"(\" expr \")\"",
     {"1", "12+3", "((1)+2)"},
     {"123", "+1", "(1", "1+", "()", ""}},
    {FG_FORM_GBNF,
     "root ::= . . | \"\"",
     {"", "ab", "\xc3\xa9\xf0\x9f\x98\x80"},
     {"a", "abc", "\xc3\xa9", "\xf5\x80"}},
    {FG_FORM_REGEX,
     "(a|ab)(c|bcd)(d*)",
     {"ac", "abc", "abcd", "abbcdd", "acd"},
     {"a", "ab", "abb", "bcd"}},
    {FG_FORM_REGEX,
     "[^\\W_]{2,}?\\s*(?:\\u20ac|.)+|\\d{1,3}",
     {"1", "123", "ab1", "ab \xe2\x82\xac"},
     {"", "a", "_a"}},
    {FG_FORM_REGEX, "[^\\s]", {"a", "\xc3\xa9"}, {" ", "\xc2\x85", "\x1c"}},
    {FG_FORM_REGEX, "[^\\S_]", {" ", "\t"}, {"_", "a", "\xc2\x85", "\x1c"}},
    {FG_FORM_REGEX, "", {""}, {"a", " "}},
    {FG_FORM_REGEX, "a*", {"", "a", "aaaa"}, {"b", "aab"}},
    {FG_FORM_CHOICE,
     "[\"yes\", \"no\", \"yesterday\", \"\\u20ac\", \"\\ud83d\\ude00!\"]",
     {"yes", "no", "yesterday", "\xe2\x82\xac", "\xf0\x9f\x98\x80!"},
     {"", "ye", "yesno", "\xe2\x82", "\xf0\x9f\x98\x80", "yesterday!"}},
};

enum { CASES = sizeof cases / sizeof *cases };

static struct fg_automaton *compile(const struct form_case *c, const struct fg_token_trie *trie)
{
    struct fg_form form = {.kind = c->kind, .text = view(c->text)};
    struct fg_automaton *a = NULL;
    struct fg_grammar *g = NULL;
    struct fg_err err = {0};

    if (fg_form_compile(&form, &g, &err) || fg_automaton_create(g, trie, &a, &err))
        fail_msg("%s: %s", c->text, err.text);
    return a;
}

static bool accepts(struct fg_automaton *a, const char *text)
{
    struct fg_err err = {0};
    uint32_t place;

    assert_int_equal(fg_automaton_walk(a, FG_PLACE_START, view(text), &place, &err), 0);
    return fg_automaton_accepts(a, place);
}

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct fg_automaton *a = compile(&cases[i], NULL);

        for (size_t k = 0; cases[i].good[k]; k++)
            if (!accepts(a, cases[i].good[k]))
                fail_msg("%s: refuses %s", cases[i].text, cases[i].good[k]);
        for (size_t k = 0; cases[i].bad[k]; k++)
            if (accepts(a, cases[i].bad[k]))
                fail_msg("%s: takes %s", cases[i].text, cases[i].bad[k]);
        fg_automaton_destroy(a);
    }
}

static void test_refusals(void **state)
{
    static const struct form_case refused[] = {
        {FG_FORM_REGEX, "a{2}{3}", {"nothing to repeat"}, {NULL}},
        {FG_FORM_REGEX, "a+{3}", {"nothing to repeat"}, {NULL}},
        {FG_FORM_CHOICE, "[]", {"not empty"}, {NULL}},
        {FG_FORM_CHOICE, "[\"a\", \"\"]", {"not empty"}, {NULL}},
        {FG_FORM_JSON_SCHEMA, "{\"enum\": []}", {"no text can match"}, {NULL}},
        {FG_FORM_JSON_SCHEMA,
         "{\"minItems\": 2, \"maxItems\": 1, \"type\": \"array\"}",
         {"no text can match"},
         {NULL}},
        {FG_FORM_GBNF, "root ::= root", {"no text can match"}, {NULL}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct fg_form form = {.kind = refused[i].kind, .text = view(refused[i].text)};
        struct fg_grammar *g = NULL;
        struct fg_err err = {0};

        assert_int_equal(fg_form_compile(&form, &g, &err), FG_EINVAL);
        assert_null(g);
        if (!strstr(err.text, refused[i].good[0]))
            fail_msg("%s: %s", refused[i].text, err.text);
    }
}

static uint32_t chance(uint64_t *seed, size_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % n);
}

/* One answer: at each place the mask is checked, then one of its tokens is taken. Returns how many
 * places there were. */
static int walk(struct fg_automaton *a, const struct fg_token_trie *trie, const char *what,
                uint64_t *seed)
{
    uint32_t place = FG_PLACE_START;
    struct fg_err err = {0};
    int steps = 0;

    for (; steps < MOST_STEPS; steps++) {
        const struct fg_mask *mask;
        const char *wrong;
        size_t left;
        bool limit;
        int32_t id = 0;

        wrong = words_check(a, trie, place, &limit);
        if (wrong || limit)
            fail_msg("%s, step %d: %s", what, steps, wrong ? wrong : "a limit");
        assert_int_equal(fg_automaton_mask(a, place, &mask, &err), 0);
        if (!mask->n)
            break;
        for (left = chance(seed, mask->n);; id++)
            if (mask->bits[id / 64] >> id % 64 & 1 && left-- == 0)
                break;
        assert_int_equal(fg_automaton_walk(a, place, fg_token_trie_bytes(trie, id), &place, &err),
                         0);
        assert_int_not_equal(place, FG_PLACE_NOWHERE);
    }
    return steps;
}

static void check_masks(const struct fg_token_trie *trie, int walks)
{
    int steps = 0;

    for (size_t i = 0; i < CASES; i++) {
        struct fg_automaton *a = compile(&cases[i], trie);
        uint64_t seed = i + 1;

        for (int k = 0; k < walks; k++)
            steps += walk(a, trie, cases[i].text, &seed);
        fg_automaton_destroy(a);
    }
    assert_true(steps > walks * (int)CASES);
}

static void test_masks(void **state)
{
    struct words w;
    struct fg_err err = {0};

    (void)state;
    assert_true(words_create(&w, &err));
    check_masks(w.trie, WALKS);
    words_destroy(&w);
}

/* The committed vocabulary, whose tokens are those of text. */
static void test_masks_of_text(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("gpt-2");
    struct fg_token_trie *trie;
    struct fg_err err = {0};

    (void)state;
    assert_int_equal(fg_token_trie_create(t, NULL, &trie, &err), 0);
    check_masks(trie, WALKS);
    fg_token_trie_destroy(trie);
    fg_tokenizer_destroy(t);
}

/* A control token is in the tree by its mark alone, and only a grammar that asks for the mark
 * allows it; a token of the mark's byte is never allowed. */
static void test_marks(void **state)
{
    const struct fg_detok_mark marks[] = {{WORDS_CONTROL + 2, (char)0xf5}, {0, 0}};
    struct fg_token_trie *trie;
    struct fg_exprs x;
    struct fg_grammar *g;
    struct fg_automaton *a;
    const struct fg_mask *mask;
    struct fg_err err = {0};
    struct words w;
    uint32_t rule;

    (void)state;
    assert_true(words_create(&w, &err));
    assert_int_equal(fg_token_trie_create(w.tokenizer, marks, &trie, &err), 0);
    assert_int_equal(fg_token_trie_bytes(trie, 0xf5).n, 0);
    assert_int_equal(fg_token_trie_bytes(trie, WORDS_CONTROL + 3).n, 0);
    assert_int_equal(fg_token_trie_bytes(trie, WORDS_CONTROL + 2).n, 1);
    assert_int_equal(fg_token_trie_bytes(w.trie, WORDS_CONTROL + 2).n, 0);
    fg_exprs_init(&x);
    rule = fg_expr_new_rule(&x);
    fg_expr_set_rule(&x, rule,
                     fg_expr_seq(&x, fg_expr_byte(&x, 0xf5, 0xf5), fg_expr_literal(&x, "a")));
    assert_int_equal(fg_grammar_compile(&x, rule, &g, &err), 0);
    fg_exprs_finish(&x);
    assert_int_equal(fg_automaton_create(g, trie, &a, &err), 0);
    assert_int_equal(fg_automaton_mask(a, FG_PLACE_START, &mask, &err), 0);
    assert_int_equal(mask->n, 1);
    assert_true(mask->bits[(WORDS_CONTROL + 2) / 64] >> (WORDS_CONTROL + 2) % 64 & 1);
    fg_automaton_destroy(a);
    fg_token_trie_destroy(trie);
    words_destroy(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts), cmocka_unit_test(test_refusals), cmocka_unit_test(test_masks),
        cmocka_unit_test(test_masks_of_text), cmocka_unit_test(test_marks)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
