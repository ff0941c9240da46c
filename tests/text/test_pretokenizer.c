/* Pre-tokenizers: the cuts of the published tokenizers, and that native code makes the same ones.
 */
#include "vectors.h"

#include "text/tokenizer/pretokenizer.h"

static const char *const names[] = {
    "gpt-2",  "smollm", "minimax-m2", "llama-bpe",    "qwen2",          "gpt-4o",
    "tekken", "lfm2",   "qwen35",     "deepseek-llm", "deepseek-coder", "deepseek-v3",
};

#define N_NAMES (sizeof names / sizeof names[0])

static struct fg_pretokenizer *create(const char *name, bool jit)
{
    struct fg_pretokenizer *p = NULL;
    struct fg_err err = {0};

    if (fg_pretokenizer_create(view(name), jit, &p, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return p;
}

static void check_cuts(struct fg_pretokenizer_scan *s, const json_t *test, const json_t *cuts,
                       const char *name)
{
    struct fg_str text = member(test, "text");
    size_t at = 0, len = 0;

    assert_true(json_is_array(cuts));
    fg_pretokenizer_begin(s, text.p, text.n);
    for (size_t i = 0; i < json_array_size(cuts); i++) {
        size_t wanted = (size_t)json_integer_value(json_array_get(cuts, i));
        assert_int_equal(fg_pretokenizer_next(s, &len, NULL), 0);
        if (len != wanted) {
            fail_msg("%s cuts \"%s\" after %zu bytes at %zu, wanted %zu", name, text.p, len, at,
                     wanted);
        }
        at += len;
    }
    assert_int_equal(at, text.n);
    assert_int_equal(fg_pretokenizer_next(s, &len, NULL), 0);
    assert_int_equal(len, 0);
}

static void published_cuts(void **state)
{
    json_t *tests = load_vectors("pretokenizers.json"), *test;
    size_t i;

    (void)state;
    assert_true(json_array_size(tests) >= 100);
    for (size_t k = 0; k < 2 * N_NAMES; k++) {
        struct fg_pretokenizer *p = create(names[k / 2], k % 2);
        struct fg_pretokenizer_scan *s = fg_pretokenizer_scan_create(p);
        assert_non_null(s);
        json_array_foreach(tests, i, test)
        {
            json_t *cuts = json_object_get(test, "cuts");
            check_cuts(s, test, shared_member(cuts, names[k / 2]), names[k / 2]);
        }
        fg_pretokenizer_scan_destroy(s);
        fg_pretokenizer_destroy(p);
    }
    json_decref(tests);
}

enum { N_RUNS = 5 }; /* of the names, the first */

/* Marks are letters in qwen35, and symbols in qwen2. */
static void marks(void **state)
{
    static const struct {
        const char *pre, *text;
        size_t cuts[6];
    } tests[] = {
        {"qwen35", "cafe\xcc\x81s!", {7, 1}},
        {"qwen2", "cafe\xcc\x81s!", {4, 3, 1}},
        {"qwen35", " !\xcc\x81x", {2, 3}},
        {"qwen2", " !\xcc\x81x", {4, 1}},
        /* HA I-sign NA virama DA II-sign */
        {"qwen35",
         "\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8\xe0\xa5\x8d\xe0\xa4\xa6\xe0\xa5\x80 12",
         {18, 1, 1, 1}},
        {"qwen35", "I'LL\n\n a\xcc\x81?\n", {1, 3, 2, 4, 2}},
        {"qwen35", "\n\xcc\x81", {1, 2}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        struct fg_pretokenizer *p = create(tests[i].pre, true);
        struct fg_pretokenizer_scan *s = fg_pretokenizer_scan_create(p);
        size_t at = 0, n = strlen(tests[i].text), len = 0;

        assert_non_null(s);
        fg_pretokenizer_begin(s, tests[i].text, n);
        for (size_t c = 0; at < n; c++, at += len) {
            assert_int_equal(fg_pretokenizer_next(s, &len, NULL), 0);
            assert_int_equal(len, tests[i].cuts[c]);
        }
        fg_pretokenizer_scan_destroy(s);
        fg_pretokenizer_destroy(p);
    }
}

/* Runs of one megabyte exceed the stack of native code or the limits of the interpreter first. */
static void long_runs(void **state)
{
    static const struct {
        const char *unit, *tail;
        size_t first[N_RUNS]; /* bytes of the first piece */
    } tests[] = {
        {"a", "", {1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20}},
        {"A", "", {1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20}},
        {" ", "", {1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20}},
        {" ", "x", {(1 << 20) - 1, (1 << 20) - 1, (1 << 20) - 1, (1 << 20) - 1, (1 << 20) - 1}},
        {"\n ", "x", {(1 << 21) - 1, (1 << 21) - 1, (1 << 21) - 1, (1 << 21) - 1, (1 << 21) - 1}},
        {" ", "1", {(1 << 20) - 1, 1 << 20, (1 << 20) - 1, (1 << 20) - 1, (1 << 20) - 1}},
        {"!", "\n\n", {1 << 20, 1 << 20, (1 << 20) + 2, (1 << 20) + 2, (1 << 20) + 2}},
        {"\xcc\x81", "", {1 << 21, 1 << 21, 1 << 21, 1 << 21, 1 << 21}}, /* combining acute */
        {"7", "", {1 << 20, 1, 3, 3, 1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        size_t unit = strlen(tests[i].unit), n = unit << 20;
        char *text = malloc(n + 8);
        assert_non_null(text);
        for (size_t at = 0; at < n; at += unit) {
            memcpy(text + at, tests[i].unit, unit);
        }
        strcpy(text + n, tests[i].tail);
        for (size_t k = 0; k < 2 * N_RUNS; k++) {
            struct fg_pretokenizer *p = create(names[k / 2], k % 2);
            struct fg_pretokenizer_scan *s = fg_pretokenizer_scan_create(p);
            size_t len = 0, wanted = tests[i].first[k / 2];
            assert_non_null(s);
            fg_pretokenizer_begin(s, text, strlen(text));
            assert_int_equal(fg_pretokenizer_next(s, &len, NULL), 0);
            /* The last newline ends the piece where newlines are pieces of their own. */
            if (tests[i].unit[0] == '\n' && k / 2 >= 2) {
                wanted = n - 1;
            }
            if (len != wanted) {
                fail_msg("run %zu, %s: %zu bytes, wanted %zu", i, names[k / 2], len, wanted);
            }
            fg_pretokenizer_scan_destroy(s);
            fg_pretokenizer_destroy(p);
        }
        free(text);
    }
}

/* The pre-tokenizers of several steps: the same pieces with and without native code, in a time that
 * grows with the text and not with its square (a megabyte would take hours). */
static void long_runs_in_steps(void **state)
{
    static const struct {
        const char *unit, *tail;
        size_t pieces[3]; /* of deepseek-llm, deepseek-coder, deepseek-v3 */
    } tests[] = {
        {" ", "1", {2, 2, 2}},
        {" ",
         "\xe4\xb8\xad",
         {2, 3, 2}}, /* a space goes with the letter, which stands alone then */
        {" ", "x", {2, 2, 2}},
        {"a", "1", {2, 2, 2}},
        {"7", "", {1 << 18, 1 << 18, ((1 << 18) + 2) / 3}},
        {"\n", "x", {(1 << 18) + 1, (1 << 18) + 1, 2}},
        {"\x01", "a", {2, 2, 2}},
        {"\xe4\xb8\xad", "!", {2, 2, 2}},
        {"!", " ", {2, 2, 2}},
        {" a", "", {1 << 18, 1 << 18, 1 << 18}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        size_t unit = strlen(tests[i].unit), n = unit << 18;
        char *text = malloc(n + 8);
        assert_non_null(text);
        for (size_t at = 0; at < n; at += unit) {
            memcpy(text + at, tests[i].unit, unit);
        }
        strcpy(text + n, tests[i].tail);
        for (size_t k = 0; k < 6; k++) {
            struct fg_pretokenizer *p = create(names[N_NAMES - 3 + k / 2], k % 2);
            struct fg_pretokenizer_scan *s = fg_pretokenizer_scan_create(p);
            size_t len = 0, sum = 0, pieces = 0;
            assert_non_null(s);
            fg_pretokenizer_begin(s, text, strlen(text));
            while (fg_pretokenizer_next(s, &len, NULL) == 0 && len > 0) {
                sum += len;
                pieces++;
            }
            assert_int_equal(sum, strlen(text));
            if (pieces != tests[i].pieces[k / 2]) {
                fail_msg("run %zu, %s: %zu pieces, wanted %zu", i, names[N_NAMES - 3 + k / 2],
                         pieces, tests[i].pieces[k / 2]);
            }
            fg_pretokenizer_scan_destroy(s);
            fg_pretokenizer_destroy(p);
        }
        free(text);
    }
}

static void names_and_aliases(void **state)
{
    struct fg_pretokenizer *p = NULL;
    struct fg_err err = {0};

    (void)state;
    assert_int_equal(fg_pretokenizer_create(view("no-such"), true, &p, &err), FG_EUNSUPPORTED);
    assert_null(p);
    assert_non_null(strstr(err.text, "\"no-such\""));
    for (size_t i = 0; i < N_NAMES; i++) {
        assert_non_null(strstr(err.text, names[i]));
    }
    p = create("llama-v3", true);
    assert_true(fg_pretokenizer_takes_whole(p));
    fg_pretokenizer_destroy(p);
    p = create("", true);
    assert_false(fg_pretokenizer_takes_whole(p));
    fg_pretokenizer_destroy(p);
    fg_pretokenizer_destroy(create("minimax", true));
    fg_pretokenizer_destroy(create("default", true));
    fg_pretokenizer_destroy(NULL);
    assert_true(fg_pretokenizer_adds_bos(view("llama3")));
    assert_true(fg_pretokenizer_adds_bos(view("tekken")));
    assert_false(fg_pretokenizer_adds_bos(view("qwen2")));
    assert_false(fg_pretokenizer_adds_bos(view("no-such")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_cuts),    cmocka_unit_test(marks),
        cmocka_unit_test(long_runs),         cmocka_unit_test(long_runs_in_steps),
        cmocka_unit_test(names_and_aliases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
