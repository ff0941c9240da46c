/* Texts of a megabyte without the word boundaries that usually keep pieces short. */
#include "text/tokenizer/bpe.h"
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

    if (fg_tokenizer_encode(t, (struct fg_str){text, SIZE},
                            (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL}, &ids, &n,
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
    assert_int_equal(
        fg_tokenizer_encode(t, (struct fg_str){"", FG_TOKENIZER_MAX_TEXT + 1},
                            (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL}, &ids, &n,
                            &err),
        FG_ETOOLONG);
    assert_null(ids);
    assert_non_null(strstr(err.text, "268435457"));
    fg_tokenizer_destroy(t);
}

/* --- a bound --- */

int __real_fg_bpe_encode(const struct fg_bpe *b, const struct fg_vocab *v, struct fg_bpe_work *w,
                         struct fg_str piece, int32_t unk);
int __wrap_fg_bpe_encode(const struct fg_bpe *b, const struct fg_vocab *v, struct fg_bpe_work *w,
                         struct fg_str piece, int32_t unk);

/* What was asked of the merging, and the most symbols that it made room for. */
static size_t pieces, symbols;

int __wrap_fg_bpe_encode(const struct fg_bpe *b, const struct fg_vocab *v, struct fg_bpe_work *w,
                         struct fg_str piece, int32_t unk)
{
    int rc = __real_fg_bpe_encode(b, v, w, piece, unk);

    pieces++;
    symbols = w->symbols_cap > symbols ? w->symbols_cap : symbols;
    return rc;
}

static int encode_bounded(const struct fg_tokenizer *t, struct fg_str text, size_t most,
                          int32_t **ids, size_t *n, struct fg_err *err)
{
    const struct fg_encode_options opt = {FG_ENCODE_PARSE_SPECIAL, most};

    *ids = NULL;
    *n = 77;
    pieces = symbols = 0;
    return fg_tokenizer_encode(t, text, opt, ids, n, err);
}

/* A text of these units has more than 50 tokens. */
static void stops_at_50(const char *unit)
{
    struct fg_tokenizer *t = small_tokenizer("gpt-2");
    struct fg_err err = {0};
    char *text = malloc(SIZE);
    int32_t *ids;
    size_t n;

    assert_non_null(text);
    fill_units(text, unit, strlen(unit));
    assert_int_equal(encode_bounded(t, (struct fg_str){text, SIZE}, 50, &ids, &n, &err),
                     FG_ETOOLONG);
    assert_null(ids);
    assert_int_equal(n, 50);
    assert_string_equal(err.text, "the text has more than 50 tokens");
    free(text);
    fg_tokenizer_destroy(t);
}

/* Of a text with many pieces none is merged behind the first token too many. */
static void stops_between_pieces(void **state)
{
    (void)state;
    stops_at_50("the 7\n");
    assert_in_range(pieces, 1, 51); /* each makes one token at least */
}

/* A piece that cannot be few enough tokens, whatever is merged, is not merged, and takes no
 * memory. */
static void stops_before_a_piece(void **state)
{
    (void)state;
    stops_at_50("a");
    assert_int_equal(pieces, 1);
    assert_int_equal(symbols, 0);
}

/* A bound only ever refuses: with room for all tokens they are those of no bound, and one less is
 * too few. */
static void bound_is_exact(void **state)
{
    static const char *const texts[] = {
        "a", "the cape and the storm 1234  \n\n x", "ththththththththththththththe",
        "<end_of_sentence>the<end_of_sentence>", "a\xff\xfe the \xf0\x9f\x98\x80\xcc\x81"};
    static const char *const names[] = {"minimax-m2", "smollm", "llama-bpe", "gpt-2"};

    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        struct fg_tokenizer *t = small_tokenizer(names[k]);
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            int32_t *all, *ids;
            size_t n_all, n;
            assert_int_equal(encode_bounded(t, view(texts[i]), 0, &all, &n_all, NULL), 0);
            assert_int_equal(encode_bounded(t, view(texts[i]), n_all, &ids, &n, NULL), 0);
            assert_int_equal(n, n_all);
            assert_memory_equal(ids, all, n * sizeof *ids);
            free(ids);
            for (size_t most = 1; most < n_all; most++) {
                assert_int_equal(encode_bounded(t, view(texts[i]), most, &ids, &n, NULL),
                                 FG_ETOOLONG);
                assert_int_equal(n, most);
            }
            free(all);
        }
        fg_tokenizer_destroy(t);
    }
}

/* Memory for merging is bounded where tokens are not. */
static void uncut(void **state)
{
    const size_t size = FG_BPE_MAX_PIECE + 1;
    struct fg_tokenizer *t = small_tokenizer("gpt-2");
    struct fg_err err = {0};
    char *text = malloc(size);
    int32_t *ids;
    size_t n;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', size);
    assert_int_equal(encode_bounded(t, (struct fg_str){text, size}, 0, &ids, &n, &err),
                     FG_EUNSUPPORTED);
    assert_int_equal(n, 0);
    assert_int_equal(symbols, 0);
    assert_non_null(strstr(err.text, "8388609 bytes without a place to cut"));
    free(text);
    fg_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),          cmocka_unit_test(too_long),
        cmocka_unit_test(stops_between_pieces), cmocka_unit_test(stops_before_a_piece),
        cmocka_unit_test(bound_is_exact),       cmocka_unit_test(uncut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
