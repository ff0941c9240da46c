/* Texts of a megabyte without the word boundaries that usually keep pieces short. */
#include "vectors.h"

#define SIZE ((size_t)1 << 20)

static void fill_units(char *text, const char *unit, size_t n)
{
    for (size_t at = 0; at < SIZE; at++) {
        text[at] = unit[at % n];
    }
}

static void fill_letters(char *text, char first, unsigned count)
{
    uint64_t seed = 99;

    for (size_t at = 0; at < SIZE; at++) {
        text[at] = (char)(first + (char)(next_random(&seed) % count));
    }
}

static void fill_cjk(char *text)
{
    uint64_t seed = 7;

    for (size_t at = 0; at + 3 <= SIZE; at += 3) {
        unsigned c = 0x4e00 + next_random(&seed) % 0x5000;
        text[at] = (char)(0xe0 | c >> 12);
        text[at + 1] = (char)(0x80 | (c >> 6 & 0x3f));
        text[at + 2] = (char)(0x80 | (c & 0x3f));
    }
    text[SIZE - 1] = '.';
}

static void fill_bytes(char *text)
{
    uint64_t seed = 3;

    for (size_t at = 0; at < SIZE; at++) {
        text[at] = (char)next_random(&seed);
    }
}

/* `most`: a bound on the tokens that tells merged from unmerged. */
static void check(const struct fg_tokenizer *t, const char *text, size_t most)
{
    int32_t *ids = NULL;
    size_t n = 0;
    struct fg_err err = {0};

    if (fg_tokenizer_encode(t, (struct fg_str){text, SIZE}, FG_ENCODE_PARSE_SPECIAL, &ids, &n,
                            &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_in_range(n, 1, most);
    assert_decodes(t, ids, n, text, SIZE);
    free(ids);
}

static void round_trips(void **state)
{
    static const struct {
        const char *unit;
        size_t n, most;
    } units[] = {
        {"a", 1, SIZE},        {" ", 1, SIZE / 4},    {"\n", 1, SIZE / 2}, {" \n", 2, SIZE},
        {"A1", 2, SIZE},       {"<", 1, SIZE},        {"\xff", 1, SIZE},   {"a\xe2\x82", 3, SIZE},
        {"\xcc\x81", 2, SIZE}, {"<end_of_", 8, SIZE}, {"\0", 1, SIZE},     {"the ", 4, SIZE / 3},
    };
    static const char *const names[] = {"minimax-m2", "smollm", "llama-bpe"};
    char *text = malloc(SIZE);

    (void)state;
    assert_non_null(text);
    for (size_t k = 0; k < 3; k++) {
        struct fg_tokenizer *t = small_tokenizer(names[k]);
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            fill_units(text, units[i].unit, units[i].n);
            check(t, text, units[i].most);
        }
        fill_letters(text, 'a', 26);
        check(t, text, SIZE - SIZE / 20);
        fill_letters(text, 'A', 58); /* both cases and a few symbols */
        check(t, text, SIZE);
        fill_cjk(text);
        check(t, text, SIZE);
        fill_bytes(text);
        check(t, text, SIZE);
        fg_tokenizer_destroy(t);
    }
    free(text);
}

static void too_long(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("gpt-2");
    int32_t *ids = NULL;
    size_t n = 0;
    struct fg_err err = {0};

    (void)state; /* the length is refused before the text is looked at */
    assert_int_equal(fg_tokenizer_encode(t, (struct fg_str){"", FG_TOKENIZER_MAX_TEXT + 1},
                                         FG_ENCODE_PARSE_SPECIAL, &ids, &n, &err),
                     FG_ETOOLONG);
    assert_null(ids);
    assert_non_null(strstr(err.text, "268435457"));
    fg_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
