/* SHA-256 against the examples of FIPS 180-4 (as NIST publishes them). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.c"

/* `text` in pieces of `piece` bytes, `times` times. */
static void check(const char *text, size_t piece, size_t times, const char *wanted)
{
    size_t n = strlen(text);
    struct fg_sha256 s;
    char hex[65];

    fg_sha256_init(&s);
    for (size_t t = 0; t < times; t++) {
        for (size_t i = 0; i < n; i += piece) {
            fg_sha256_add(&s, text + i, n - i < piece ? n - i : piece);
        }
    }
    fg_sha256_hex(&s, hex);
    assert_string_equal(hex, wanted);
}

static void test_one_block(void **state)
{
    (void)state;
    check("", 1, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_two_blocks_in_any_pieces(void **state)
{
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

    (void)state;
    for (size_t piece = 1; piece <= 57; piece++) {
        check(text, piece, 1, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
}

static void test_four_blocks(void **state)
{
    (void)state;
    check("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
          "lmn"
          "opqrsmnopqrstnopqrstu",
          63, 1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void test_a_million_bytes(void **state)
{
    (void)state;
    check("aaaaaaaaaa", 10, 100000,
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_block),
        cmocka_unit_test(test_two_blocks_in_any_pieces),
        cmocka_unit_test(test_four_blocks),
        cmocka_unit_test(test_a_million_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
