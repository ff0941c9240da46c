/* UTF-8, hexadecimal digits and the growing buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buffer.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "fulgur/error.h"

static void test_lengths(void **state)
{
    static const struct {
        const char *bytes;
        size_t n, length; /* 0: none begins here */
        enum fg_utf8_kind kind;
        size_t part; /* what fg_utf8_next() speaks of */
    } rows[] = {
        {"a", 1, 1, FG_UTF8_CHAR, 1},
        {"\0", 1, 1, FG_UTF8_CHAR, 1},
        {"\xC3\xA9", 2, 2, FG_UTF8_CHAR, 2},
        {"\xE2\x82\xAC", 3, 3, FG_UTF8_CHAR, 3},
        {"\xF4\x8F\xBF\xBF", 4, 4, FG_UTF8_CHAR, 4},
        {"\xE2\x82", 2, 0, FG_UTF8_PARTIAL, 2},
        {"\xE2\x82z", 3, 0, FG_UTF8_BAD, 2},
        {"\x80", 1, 0, FG_UTF8_BAD, 1},
        {"\xC0\x80", 2, 0, FG_UTF8_BAD, 1},         /* overlong */
        {"\xE0\x9F\xBF", 3, 0, FG_UTF8_BAD, 1},     /* overlong */
        {"\xED\xA0\x80", 3, 0, FG_UTF8_BAD, 1},     /* a surrogate */
        {"\xF4\x90\x80\x80", 4, 0, FG_UTF8_BAD, 1}, /* past U+10FFFF */
        {"\xFF", 1, 0, FG_UTF8_BAD, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t part;

        assert_int_equal(fg_utf8_length(rows[i].bytes, rows[i].n), rows[i].length);
        assert_int_equal(fg_utf8_next(rows[i].bytes, rows[i].n, &part), rows[i].kind);
        assert_int_equal(part, rows[i].part);
    }
    assert_int_equal(fg_utf8_valid("a\xE2\x82\xACz\x80", 6), 5);
}

static void test_cuts(void **state)
{
    static const char text[] = "a\xE2\x82\xACz";
    static const size_t wanted[] = {0, 1, 1, 1, 4};

    (void)state;
    for (size_t n = 0; n < sizeof wanted / sizeof wanted[0]; n++)
        assert_int_equal(fg_utf8_cut(text, n), wanted[n]);
}

static void test_put(void **state)
{
    static const struct {
        uint32_t c;
        const char *bytes;
    } rows[] = {{0x41, "A"},
                {0x7f, "\x7F"},
                {0x80, "\xC2\x80"},
                {0x7ff, "\xDF\xBF"},
                {0x800, "\xE0\xA0\x80"},
                {0xffff, "\xEF\xBF\xBF"},
                {0x10000, "\xF0\x90\x80\x80"},
                {0x10ffff, "\xF4\x8F\xBF\xBF"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[4];

        assert_int_equal(fg_utf8_put(rows[i].c, out), strlen(rows[i].bytes));
        assert_memory_equal(out, rows[i].bytes, strlen(rows[i].bytes));
    }
}

static void test_hex(void **state)
{
    static const unsigned char bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    char out[9];

    (void)state;
    memset(out, 'x', sizeof out);
    fg_hex(bytes, sizeof bytes, out);
    assert_string_equal(out, "000fa5ff");
    fg_hex(bytes, 0, out);
    assert_string_equal(out, "");
    for (int c = 0; c < 256; c++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *at = c ? strchr(digits, c) : NULL;

        assert_int_equal(fg_hex_digit((char)c), at ? (at - digits) % 16 : -1);
    }
}

static void test_buffer(void **state)
{
    struct fg_buffer b = {0};

    (void)state;
    assert_int_equal(fg_buffer_add_within(&b, "", 0, 0), 0);
    assert_string_equal(b.p, "");
    fg_buffer_str(&b, "ab");
    assert_int_equal(fg_buffer_add_within(&b, "\0cd", 3, 5), 0);
    assert_int_equal(b.n, 5);
    assert_memory_equal(b.p, "ab\0cd", 6);
    /* One byte too many changes nothing, and later adds go on. */
    assert_int_equal(fg_buffer_add_within(&b, "e", 1, 5), FG_EFULL);
    assert_int_equal(fg_buffer_add_within(&b, "", 0, 4), FG_EFULL);
    assert_int_equal(b.n, 5);
    assert_false(b.failed);
    /* No memory has room for this: it is remembered until the buffer is emptied. */
    fg_buffer_add(&b, "e", SIZE_MAX - 2);
    assert_true(b.failed);
    assert_int_equal(b.n, 5);
    fg_buffer_clear(&b);
    fg_buffer_str(&b, "x");
    assert_string_equal(b.p, "x");
    fg_buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_cuts),   cmocka_unit_test(test_put),
        cmocka_unit_test(test_hex),     cmocka_unit_test(test_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
