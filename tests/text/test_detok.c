/* Incremental detokenizing: whole characters only, and the same text as decoding all at once. */
#include "vectors.h"

#include "text/tokenizer/detok.h"
#include "base/utf8.h"

static int unhex(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Every vector as tokens of one byte each: the small vocabulary's first 256 tokens. */
static void lossy_vectors(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("gpt-2");
    json_t *tests = load_vectors("utf8-lossy.json"), *test;
    struct fg_detok d;
    size_t i;

    (void)state;
    assert_true(json_array_size(tests) >= 80);
    fg_detok_init(&d, t, false);
    json_array_foreach(tests, i, test)
    {
        struct fg_str hex = member(test, "bytes"), want = member(test, "text"), text;
        struct fg_buffer all = {0};
        for (size_t k = 0; k < hex.n; k += 2) {
            int32_t id = unhex(hex.p[k]) << 4 | unhex(hex.p[k + 1]);
            assert_int_equal(fg_detok_push(&d, id, &text, NULL), 0);
            fg_buffer_view(&all, text);
        }
        assert_int_equal(fg_detok_flush(&d, &text, NULL), 0);
        fg_buffer_view(&all, text);
        if (all.n != want.n || memcmp(all.p, want.p, want.n)) {
            fail_msg("bytes %s give \"%s\", wanted \"%s\"", hex.p, all.p, want.p);
        }
        fg_buffer_finish(&all);
    }
    fg_detok_finish(&d);
    json_decref(tests);
    fg_tokenizer_destroy(t);
}

static void expect(struct fg_detok *d, int32_t id, const char *want)
{
    struct fg_str text;

    assert_int_equal(fg_detok_push(d, id, &text, NULL), 0);
    assert_int_equal(text.n, strlen(want));
    assert_memory_equal(text.p, want, text.n);
}

static void holds_back_and_flushes(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("gpt-2");
    struct fg_detok d;
    struct fg_str text;

    (void)state;
    fg_detok_init(&d, t, false);
    expect(&d, 0xf0, "");
    expect(&d, 0x9f, "");
    expect(&d, 0x98, "");
    expect(&d, 0x82, "\xf0\x9f\x98\x82");
    expect(&d, 'a', "a");
    expect(&d, 0xe2, "");
    expect(&d, 'b',
           "\xef\xbf\xbd"
           "b"); /* the byte that breaks a sequence is not lost */
    expect(&d, 0xf0, "");
    expect(&d, 0x9f, "");
    expect(&d, 0xc3, "\xef\xbf\xbd"); /* ends one and begins the next */
    expect(&d, 0xa9, "\xc3\xa9");
    expect(&d, 0x80, "\xef\xbf\xbd");
    expect(&d, 0xe2, "");
    expect(&d, 0x82, "");
    assert_int_equal(fg_detok_flush(&d, &text, NULL), 0);
    assert_int_equal(text.n, 3); /* one for both bytes */
    assert_memory_equal(text.p, "\xef\xbf\xbd", 3);
    assert_int_equal(fg_detok_flush(&d, &text, NULL), 0);
    assert_int_equal(text.n, 0);
    expect(&d, 0xac, "\xef\xbf\xbd"); /* nothing is left of the stream before */
    fg_detok_finish(&d);
    fg_tokenizer_destroy(t);
}

static void control_tokens(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("gpt-2");
    struct fg_detok d;
    struct fg_str text = {0};
    struct fg_err err = {0};
    static const struct fg_detok_mark marks[] = {{508, '\xF6'}, {0, 0}};

    (void)state;
    fg_detok_init(&d, t, false);
    expect(&d, 508, "<end_of_sentence>");
    expect(&d, 0xc3, "");
    expect(&d, 508, "\xef\xbf\xbd<end_of_sentence>");
    fg_detok_finish(&d);
    fg_detok_init(&d, t, true);
    expect(&d, 0xc3, "");
    expect(&d, 508, ""); /* has no text: what is held stays held */
    expect(&d, 0xa9, "\xc3\xa9");
    assert_int_equal(fg_detok_push(&d, 510, &text, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "510"));
    assert_int_equal(fg_detok_push(&d, -1, &text, &err), FG_EINVAL);
    expect(&d, 'x', "x");
    d.marks = marks; /* whatever else is hidden */
    expect(&d, 508, "\xF6");
    expect(&d, 507, "");
    fg_detok_finish(&d);
    fg_tokenizer_destroy(t);
}

/* Tokens of many bytes: the text of the vectors in pieces is the text. */
static void streams_equal_texts(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("minimax-m2");
    json_t *tests = load_vectors("pretokenizers.json"), *test;
    struct fg_detok d;
    size_t i;

    (void)state;
    fg_detok_init(&d, t, false);
    json_array_foreach(tests, i, test)
    {
        struct fg_str want = member(test, "text"), text;
        struct fg_buffer all = {0};
        int32_t *ids = NULL;
        size_t n = 0;
        fg_buffer_str(&all, "");
        assert_int_equal(
            fg_tokenizer_encode(t, (struct fg_str){want.p, want.n},
                                (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL}, &ids,
                                &n, NULL),
            0);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(fg_detok_push(&d, ids[k], &text, NULL), 0);
            assert_int_equal(fg_utf8_valid(text.p, text.n), text.n);
            fg_buffer_view(&all, text);
        }
        assert_int_equal(fg_detok_flush(&d, &text, NULL), 0);
        assert_int_equal(text.n, 0);
        assert_int_equal(all.n, want.n);
        assert_memory_equal(all.p, want.p, want.n);
        fg_buffer_finish(&all);
        free(ids);
    }
    fg_detok_finish(&d);
    json_decref(tests);
    fg_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lossy_vectors),
        cmocka_unit_test(holds_back_and_flushes),
        cmocka_unit_test(control_tokens),
        cmocka_unit_test(streams_equal_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
