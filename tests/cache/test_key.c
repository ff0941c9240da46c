/* Prefix keys: the formula, byte for byte, and what must tell two prefixes apart. */
#include "util.h"

#include <xxhash.h>

static struct fg_key one_shot(const void *p, size_t n)
{
    XXH128_canonical_t c;
    struct fg_key k;

    XXH128_canonicalFromHash(&c, XXH3_128bits(p, n));
    memcpy(k.b, c.digest, sizeof k.b);
    return k;
}

static void hex(const struct fg_key *k, char out[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", k->b[i]);
}

static void test_root_is_hash_of_concatenation(void **state)
{
    uint8_t buf[32 + 1000];
    (void)state;

    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (uint8_t)(i * 7 + 1);
    for (size_t salt = 0; salt <= 1000; salt += 250) {
        struct fg_key got = fg_key_root(buf, buf + 16, salt ? buf + 32 : NULL, salt);
        struct fg_key want = one_shot(buf, 32 + salt);

        assert_memory_equal(got.b, want.b, 16);
    }
}

static void test_next_hashes_little_endian_tokens(void **state)
{
    struct fg_key prev, got, want;
    int32_t tokens[FG_BLOCK_TOKENS];
    uint8_t buf[16 + 256];
    (void)state;

    for (int i = 0; i < 16; i++)
        prev.b[i] = buf[i] = (uint8_t)(200 + i);
    for (int i = 0; i < FG_BLOCK_TOKENS; i++) {
        tokens[i] = i % 3 ? i * 1000003 : -i;
        for (int j = 0; j < 4; j++)
            buf[16 + 4 * i + j] = (uint8_t)((uint32_t)tokens[i] >> (8 * j));
    }
    got = fg_key_next(&prev, tokens);
    want = one_shot(buf, sizeof buf);
    assert_memory_equal(got.b, want.b, 16);
}

/* Stores outlive builds: these may only change together with the format version. */
static void test_golden(void **state)
{
    static const uint8_t zero[16];
    int32_t tokens[FG_BLOCK_TOKENS];
    struct fg_key root = fg_key_root(zero, zero, "tenant", 6), next;
    char text[33];
    (void)state;

    for (int i = 0; i < FG_BLOCK_TOKENS; i++)
        tokens[i] = i;
    next = fg_key_next(&root, tokens);
    hex(&root, text);
    assert_string_equal(text, "d036d2b01435a3889de16d240d61d873");
    hex(&next, text);
    assert_string_equal(text, "bdcc13c4cebd73d0e12f1e080828bfa8");
}

static void test_every_input_matters(void **state)
{
    uint8_t model[16] = {1}, numerics[16] = {2};
    struct fg_key base = fg_key_root(model, numerics, "a", 1), k, next, other;
    int32_t tokens[FG_BLOCK_TOKENS] = {0};
    (void)state;

    k = fg_key_root(model, numerics, "b", 1);
    assert_memory_not_equal(k.b, base.b, 16);
    k = fg_key_root(numerics, model, "a", 1);
    assert_memory_not_equal(k.b, base.b, 16);
    next = fg_key_next(&base, tokens);
    for (int i = 0; i < FG_BLOCK_TOKENS; i++) {
        tokens[i] = 1;
        other = fg_key_next(&base, tokens);
        assert_memory_not_equal(other.b, next.b, 16);
        tokens[i] = 0;
    }
    other = fg_key_next(&k, tokens);
    assert_memory_not_equal(other.b, next.b, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_is_hash_of_concatenation),
        cmocka_unit_test(test_next_hashes_little_endian_tokens),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_every_input_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
