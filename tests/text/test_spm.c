/* SentencePiece's BPE: the ids of the Python package, and what a file may get wrong. */
#include <math.h>

#include "vectors.h"

/* A model of sentencepiece.json as a spec. */
struct model {
    struct fg_str *tokens;
    int32_t *types;
    float *scores;
    struct fg_vocab_spec spec;
};

static void model_load(struct model *m, json_t *json)
{
    json_t *tokens = json_object_get(json, "tokens"), *item;
    size_t n = json_array_size(tokens), i;

    m->tokens = calloc(n, sizeof *m->tokens);
    m->types = calloc(n, sizeof *m->types);
    m->scores = calloc(n, sizeof *m->scores);
    assert_true(m->tokens && m->types && m->scores);
    json_array_foreach(tokens, i, item)
    {
        m->tokens[i] = (struct fg_str){json_string_value(item), json_string_length(item)};
        m->types[i] =
            (int32_t)json_integer_value(json_array_get(json_object_get(json, "types"), i));
        m->scores[i] = (float)json_number_value(json_array_get(json_object_get(json, "scores"), i));
    }
    m->spec = (struct fg_vocab_spec){
        .pre = view(""),
        .spm = true,
        .tokens = m->tokens,
        .types = m->types,
        .scores = m->scores,
        .n_tokens = n,
        .bos = 1,
        .eos = 2,
        .eot = -1,
        .eom = -1,
        .unk = 0,
        .add_space_prefix = json_is_true(json_object_get(json, "add_space_prefix")),
    };
}

static void model_finish(struct model *m)
{
    free(m->tokens);
    free(m->types);
    free(m->scores);
}

static struct fg_tokenizer *create(const struct fg_vocab_spec *spec)
{
    struct fg_tokenizer *t = NULL;
    struct fg_err err = {0};

    if (fg_tokenizer_create(spec, &t, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return t;
}

static void encode(const struct fg_tokenizer *t, struct fg_str text, int32_t **ids, size_t *n)
{
    struct fg_err err = {0};

    if (fg_tokenizer_encode(t, text, (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL},
                            ids, n, &err) < 0) {
        fail_msg("%s", err.text);
    }
}

static void package_ids(void **state)
{
    json_t *models = load_vectors("sentencepiece.json"), *json, *test;
    size_t k, i, compared = 0;

    (void)state;
    json_array_foreach(models, k, json)
    {
        struct model m;
        struct fg_tokenizer *t;
        bool whole = strcmp(member(json, "name").p, "unknown") != 0;
        model_load(&m, json);
        t = create(&m.spec);
        json_array_foreach(json_object_get(json, "tests"), i, test)
        {
            struct fg_str text = member(test, "text");
            bool prefix = m.spec.add_space_prefix && text.n > 0;
            int32_t *ids = NULL;
            size_t n = 0, n_back = 0;
            char *back = NULL;
            encode(t, text, &ids, &n);
            assert_ids(ids, n, json_object_get(test, "ids"));
            assert_int_equal(fg_tokenizer_decode(t, ids, n, &back, &n_back, NULL), 0);
            if (whole) { /* nothing is lost, apart from the space before it */
                assert_int_equal(n_back, text.n + prefix);
                assert_memory_equal(back + prefix, text.p, text.n);
            }
            free(back);
            free(ids);
            compared++;
        }
        fg_tokenizer_destroy(t);
        model_finish(&m);
    }
    assert_true(compared >= 300);
    json_decref(models);
}

/* Bytes that are no text become byte tokens; U+2581 is a space; control tokens are never merged. */
static void odd_texts(void **state)
{
    json_t *models = load_vectors("sentencepiece.json");
    struct fg_tokenizer *t;
    struct model m;
    int32_t *ids = NULL, *other = NULL;
    size_t n = 0, n_other = 0;

    (void)state;
    model_load(&m, json_array_get(models, 1)); /* gemma */
    t = create(&m.spec);
    encode(t, (struct fg_str){"\xff\xe2\x82 a\x80", 6}, &ids, &n);
    assert_decodes(t, ids, n, "\xff\xe2\x82 a\x80", 6);
    free(ids);
    encode(t, view("the\xe2\x96\x81of"), &ids, &n);
    encode(t, view("the of"), &other, &n_other);
    assert_int_equal(n, n_other);
    assert_memory_equal(ids, other, n * sizeof *ids);
    free(ids);
    free(other);
    encode(t, view("<s>a</s>"), &ids, &n);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[n - 1], 2);
    free(ids);
    assert_int_equal(fg_tokenizer_encode(t, view("<s><unk><0x41>"), (struct fg_encode_options){0},
                                         &ids, &n, NULL),
                     0);
    for (size_t i = 0; i < n; i++) {
        assert_false(fg_tokenizer_is_control(t, ids[i]));
    }
    assert_decodes(t, ids, n, "<s><unk><0x41>", 14);
    free(ids);
    assert_int_equal(fg_tokenizer_find(t, view("<0x41>")), -1);
    fg_tokenizer_destroy(t);
    model_finish(&m);
    json_decref(models);
}

/* Of equal scores the leftmost pair, of others the higher, whatever its sign. */
static void order_of_merges(void **state)
{
    static const struct fg_str tokens[] = {{"a", 1},  {"b", 1},  {"c", 1},   {"ab", 2},
                                           {"bc", 2}, {"aa", 2}, {"abc", 3}, {"bca", 3}};
    static const struct {
        float ab, bc, aa, abc, bca;
        const char *text, *ids;
    } tests[] = {
        {-1, -1, -1, -5, -5, "abc", "6"},   {-2, -1, -1, -5, -5, "abc", "6"},
        {1, 2, 0, -9, 3, "abca", "0 7"},    {0, -0.0f, 0, -9, -8, "abca", "6 0"},
        {0, 0, 0, 0, 0, "aaab", "5 3"},     {1e30f, -1e30f, 1e-30f, 0, 0, "aaab", "5 3"},
        {-1, -3, -2, -4, -4, "aab", "0 3"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        const float scores[] = {
            0, 0, 0, tests[i].ab, tests[i].bc, tests[i].aa, tests[i].abc, tests[i].bca};
        const struct fg_vocab_spec spec = {.spm = true,
                                           .tokens = tokens,
                                           .n_tokens = 8,
                                           .scores = scores,
                                           .bos = -1,
                                           .eos = -1,
                                           .eot = -1,
                                           .eom = -1,
                                           .unk = -1};
        struct fg_tokenizer *t = create(&spec);
        int32_t *ids = NULL;
        size_t n = 0;
        char *got;
        encode(t, view(tests[i].text), &ids, &n);
        got = ids_text(ids, n);
        assert_string_equal(got, tests[i].ids);
        free(got);
        free(ids);
        fg_tokenizer_destroy(t);
    }
}

static void limits_and_refusals(void **state)
{
    json_t *models = load_vectors("sentencepiece.json");
    const size_t size = (size_t)1 << 20;
    char *text = malloc(size);
    struct fg_tokenizer *t;
    struct fg_err err = {0};
    struct model m;
    int32_t *ids = NULL;
    size_t n = 0;

    (void)state;
    assert_non_null(text);
    model_load(&m, json_array_get(models, 0));
    t = create(&m.spec);
    memset(text, ' ', size);
    encode(t, (struct fg_str){text, size}, &ids, &n);
    assert_in_range(n, 1, size / 2);
    free(ids);
    assert_int_equal(fg_tokenizer_encode(t, (struct fg_str){text, size},
                                         (struct fg_encode_options){.most = 7}, &ids, &n, &err),
                     FG_ETOOLONG);
    assert_int_equal(n, 7);
    fg_tokenizer_destroy(t);
    t = NULL;
    m.scores[9] = NAN;
    assert_int_equal(fg_tokenizer_create(&m.spec, &t, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "tokenizer.ggml.scores[9]"));
    m.spec.scores = NULL;
    assert_int_equal(fg_tokenizer_create(&m.spec, &t, &err), FG_EFORMAT);
    assert_null(t);
    model_finish(&m);
    free(text);
    json_decref(models);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(package_ids),
        cmocka_unit_test(odd_texts),
        cmocka_unit_test(order_of_merges),
        cmocka_unit_test(limits_and_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
