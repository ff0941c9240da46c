/* Encoding and decoding with the small vocabulary: special tokens, content spans, odd bytes. */
#include "vectors.h"

#include <pthread.h>

static const char *const names[] = {
    "gpt-2",  "smollm", "minimax-m2", "llama-bpe",    "qwen2",          "gpt-4o",
    "tekken", "lfm2",   "qwen35",     "deepseek-llm", "deepseek-coder", "deepseek-v3",
};

/* Encodes and compares with ids written as text. */
static void expect(const struct fg_tokenizer *t, const char *text, size_t n, bool special,
                   const char *want)
{
    int32_t *ids = NULL;
    size_t n_ids = 0;
    char *got;

    assert_int_equal(fg_tokenizer_encode(
                         t, (struct fg_str){text, n},
                         (struct fg_encode_options){.flags = special ? FG_ENCODE_PARSE_SPECIAL : 0},
                         &ids, &n_ids, NULL),
                     0);
    got = ids_text(ids, n_ids);
    assert_string_equal(got, want);
    free(got);
    free(ids);
}

static void published_ids(void **state)
{
    json_t *tests = load_vectors("pretokenizers.json"), *test;
    size_t i;

    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        struct fg_tokenizer *t = small_tokenizer(names[k]);
        json_array_foreach(tests, i, test)
        {
            struct fg_str text = member(test, "text");
            int32_t *ids = NULL;
            size_t n = 0;
            assert_int_equal(
                fg_tokenizer_encode(t, (struct fg_str){text.p, text.n},
                                    (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL},
                                    &ids, &n, NULL),
                0);
            assert_ids(ids, n, shared_member(json_object_get(test, "ids"), names[k]));
            assert_decodes(t, ids, n, text.p, text.n);
            free(ids);
        }
        fg_tokenizer_destroy(t);
    }
    json_decref(tests);
}

static void any_bytes_come_back(void **state)
{
    uint64_t seed = 42;

    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        struct fg_tokenizer *t = small_tokenizer(names[k]);
        for (int round = 0; round < 300; round++) {
            char text[80];
            size_t n = next_random(&seed) % sizeof text, n_ids = 0;
            int32_t *ids = NULL;
            for (size_t i = 0; i < n; i++) { /* half of them ASCII */
                uint32_t r = next_random(&seed);
                text[i] = (char)(r & 0x100 ? r & 0x7f : r & 0xff);
            }
            assert_int_equal(
                fg_tokenizer_encode(t, (struct fg_str){text, n},
                                    (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL},
                                    &ids, &n_ids, NULL),
                0);
            assert_decodes(t, ids, n_ids, text, n);
            free(ids);
        }
        fg_tokenizer_destroy(t);
    }
}

/* Ill-formed bytes stand between texts that are cut as if they stood alone: the spaces before \xff
 * are the end of a text, so none is kept for what follows. */
static void ill_formed_bytes(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("gpt-2");

    (void)state;
    expect(t, "  \xff\xe2\x82 the", 9, true, "256 255 226 130 275");
    expect(t, "\xed\xa0\x80", 3, true, "237 160 128"); /* a surrogate */
    fg_tokenizer_destroy(t);
}

static void special_tokens(void **state)
{
    static const char text[] = "a<end_of_sentence>b";
    struct fg_tokenizer *t = small_tokenizer("minimax-m2");
    int32_t *ids = NULL;
    size_t n = 0;

    (void)state;
    expect(t, text, strlen(text), true, "97 508 98");
    assert_int_equal(fg_tokenizer_encode(t, (struct fg_str){text, strlen(text)},
                                         (struct fg_encode_options){.most = 0}, &ids, &n, NULL),
                     0);
    assert_true(n > 8);
    for (size_t i = 0; i < n; i++) {
        assert_false(fg_tokenizer_is_control(t, ids[i]));
    }
    assert_decodes(t, ids, n, text, strlen(text));
    free(ids);
    expect(t, "<end_of_sentence><end_of_sentence>", 34, true, "508 508");
    expect(t, "", 0, true, "");
    fg_tokenizer_destroy(t);
}

/* Of special tokens that begin alike, the longest; user defined ones without being asked. */
static void longest_match(void **state)
{
    struct small_vocab *v = small_vocab_load("gpt-2");
    struct fg_tokenizer *t = NULL;

    (void)state;
    /* The vocabulary ends at 509; an empty text must not match anywhere. */
    v->tokens[510] = view("<x");
    v->types[510] = 4;
    v->tokens[511] = view("");
    v->types[511] = 3;
    v->spec.n_tokens = 512;
    v->tokens[506] = view("<xy>z"); /* control */
    v->tokens[507] = view("<xy>");
    v->types[507] = 4;
    v->tokens[509] = view("<xy>"); /* the same text again: the first id counts */
    v->types[509] = 4;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    expect(t, "<xy>z", 5, true, "506");
    expect(t, "<xy>z", 5, false, "507 122");
    expect(t, "<xy<x", 5, false, "510 121 510");
    expect(t, "<<xy>", 5, true, "60 507");
    assert_int_equal(fg_tokenizer_find(t, view("<xy>")), 507);
    assert_int_equal(fg_tokenizer_find(t, view("<xy")), -1);
    assert_int_equal(fg_tokenizer_find(t, view("")), -1);
    assert_int_equal(fg_tokenizer_find(t, view(" the")), 275);
    fg_tokenizer_destroy(t);
    small_vocab_free(v);
}

static void expect_chat(const struct fg_tokenizer *t, const char *text, const struct fg_span *spans,
                        size_t n_spans, const char *want)
{
    int32_t *ids = NULL;
    size_t n = 0;
    char *got;

    assert_int_equal(
        fg_tokenizer_encode_chat(t, &(struct fg_chat_spans){{text, strlen(text)}, spans, n_spans},
                                 0, &ids, &n, NULL),
        0);
    got = ids_text(ids, n);
    assert_string_equal(got, want);
    assert_decodes(t, ids, n, text, strlen(text));
    free(got);
    free(ids);
}

static void content_spans(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("minimax-m2");
    const struct fg_span inside[] = {{1, 18}}, begins[] = {{0, 5}}, ends[] = {{16, 18}},
                         part[] = {{1, 2}}, two[] = {{0, 17}, {17, 34}};
    static const char one[] = "a<end_of_sentence>b",
                      start[] = "<end_of_sentence>b<end_of_sentence>";
    int32_t *ids = NULL;
    size_t n = 0;
    char *literal;

    (void)state;
    expect_chat(t, one, NULL, 0, "97 508 98");
    assert_int_equal(fg_tokenizer_encode(t, (struct fg_str){one, strlen(one)},
                                         (struct fg_encode_options){.most = 0}, &ids, &n, NULL),
                     0);
    literal = ids_text(ids, n);
    expect_chat(t, one, inside, 1, literal);
    expect_chat(t, one, part, 1, literal); /* a token that the user only began is none */
    free(literal);
    free(ids);

    assert_int_equal(fg_tokenizer_encode(t, (struct fg_str){"<end_of_sentence>b", 18},
                                         (struct fg_encode_options){.most = 0}, &ids, &n, NULL),
                     0);
    literal = malloc(n * 12 + 16);
    assert_non_null(literal);
    char *plain = ids_text(ids, n);
    sprintf(literal, "%s 508", plain);
    expect_chat(t, start, begins, 1, literal); /* one span forbids the first, not the second */
    expect_chat(t, start, ends, 1, literal);
    free(plain);
    free(literal);
    free(ids);

    assert_int_equal(
        fg_tokenizer_encode_chat(
            t, &(struct fg_chat_spans){{"<end_of_sentence><end_of_sentence>", 34}, two, 2}, 0, &ids,
            &n, NULL),
        0);
    for (size_t i = 0; i < n; i++) {
        assert_false(fg_tokenizer_is_control(t, ids[i]));
    }
    free(ids);
    fg_tokenizer_destroy(t);
}

/* The end of a span is no boundary for merging: " the" is one token, wherever the user's part is.
 */
static void spans_do_not_cut(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("minimax-m2");
    const struct fg_span spans[] = {{2, 3}, {3, 4}}, wrong[] = {{2, 4}, {3, 5}},
                         beyond[] = {{2, 6}};
    int32_t *ids = NULL;
    size_t n = 0;
    struct fg_err err = {0};

    (void)state;
    expect_chat(t, "a the", spans, 2, "97 275");
    assert_int_equal(fg_tokenizer_encode_chat(t, &(struct fg_chat_spans){{"a the", 5}, wrong, 2}, 0,
                                              &ids, &n, &err),
                     FG_EINVAL);
    assert_non_null(strstr(err.text, "span 1"));
    assert_int_equal(fg_tokenizer_encode_chat(t, &(struct fg_chat_spans){{"a the", 5}, beyond, 1},
                                              0, &ids, &n, &err),
                     FG_EINVAL);
    fg_tokenizer_destroy(t);
}

static void begin_end_and_space(void **state)
{
    struct small_vocab *v = small_vocab_load("gpt-2");
    struct fg_tokenizer *t = NULL;
    int32_t *ids = NULL;
    size_t n = 0;
    char *got;

    (void)state;
    v->spec.add_bos = v->spec.add_eos = v->spec.add_space_prefix = true;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    assert_int_equal(
        fg_tokenizer_encode(
            t, (struct fg_str){"the", 3},
            (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL | FG_ENCODE_ADD_SPECIAL},
            &ids, &n, NULL),
        0);
    got = ids_text(ids, n);
    assert_string_equal(got, "507 275 508");
    free(got);
    free(ids);
    expect(t, "the<end_of_sentence> the", 24, true, "275 508 275");
    expect(t, "", 0, true, "");
    fg_tokenizer_destroy(t);
    small_vocab_free(v);
}

/* Bytes without a token: left out, or the unknown token where it is no control token. */
static void missing_bytes(void **state)
{
    struct small_vocab *v = small_vocab_load("gpt-2");
    struct fg_tokenizer *t = NULL;

    (void)state;
    v->tokens[0xca] = view("unused1"); /* U+0286, a letter, is ca 86 */
    v->tokens[0x86] = view("unused2");
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    expect(t, "i\xca\x86n", 4, true, "259"); /* "in": its neighbours come together */
    fg_tokenizer_destroy(t);
    v->spec.unk = 506; /* a control token */
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    expect(t, "\xca\x86", 2, true, "");
    fg_tokenizer_destroy(t);
    v->types[506] = 2;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    expect(t, "i\xca\x86n", 4, true, "105 506 506 110");
    fg_tokenizer_destroy(t);
    small_vocab_free(v);
}

/* llama-bpe takes a piece that is a token whole, whatever the merges say; never a control token. */
static void whole_pieces(void **state)
{
    struct small_vocab *v = small_vocab_load("llama-bpe");
    struct fg_tokenizer *t = NULL;

    (void)state;
    v->tokens[510] = view("zqzq");
    v->types[510] = 1;
    v->tokens[511] = view("qqzz");
    v->types[511] = 3;
    v->spec.n_tokens = 512;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    expect(t, "zqzq", 4, true, "510");
    expect(t, "qqzz", 4, false, "113 113 122 122");
    fg_tokenizer_destroy(t);
    v->spec.pre = view("qwen2");
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    expect(t, "zqzq", 4, true, "122 113 122 113");
    fg_tokenizer_destroy(t);
    small_vocab_free(v);
}

static void asking_about_tokens(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("minimax-m2");
    const int32_t ids[] = {507, 275, 0xe2, 508}, bad[] = {1, 510};
    char *text = NULL;
    size_t n = 0;
    struct fg_err err = {0};

    (void)state;
    assert_int_equal(fg_tokenizer_n_vocab(t), 510);
    assert_memory_equal(fg_tokenizer_piece(t, 275, &n), " the", 4);
    assert_int_equal(n, 4);
    assert_memory_equal(fg_tokenizer_piece(t, 0, &n), "\0", 1);
    assert_int_equal(n, 1);
    for (int32_t id = 0; id < 256; id++) { /* the byte alphabet, all of it */
        assert_int_equal((unsigned char)fg_tokenizer_piece(t, id, &n)[0], id);
        assert_int_equal(n, 1);
    }
    assert_null(fg_tokenizer_piece(t, 510, &n));
    assert_null(fg_tokenizer_piece(t, -1, &n));
    assert_int_equal(n, 0);
    assert_true(fg_tokenizer_is_control(t, 506));
    assert_false(fg_tokenizer_is_control(t, 505));
    assert_false(fg_tokenizer_is_control(t, INT32_MIN));
    assert_true(fg_tokenizer_is_eog(t, 508));
    assert_true(fg_tokenizer_is_eog(t, 506)); /* <end_of_document>, by its text */
    assert_false(fg_tokenizer_is_eog(t, 507));
    assert_false(fg_tokenizer_is_eog(t, INT32_MAX));
    assert_int_equal(fg_tokenizer_bos(t), 507);
    assert_int_equal(fg_tokenizer_eos(t), 508);
    assert_int_equal(fg_tokenizer_tokens_before(t, ids, 4, 0), 0);
    assert_int_equal(fg_tokenizer_tokens_before(t, ids, 4, 22), 0);
    assert_int_equal(fg_tokenizer_tokens_before(t, ids, 4, 23), 1);
    assert_int_equal(fg_tokenizer_tokens_before(t, ids, 4, 27), 2);
    assert_int_equal(fg_tokenizer_tokens_before(t, ids, 4, 1000), 4);
    assert_int_equal(fg_tokenizer_decode(t, bad, 2, &text, &n, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "token 1 has id 510"));
    fg_tokenizer_destroy(t);
    fg_tokenizer_destroy(NULL);
}

static void refused_specs(void **state)
{
    struct small_vocab *v = small_vocab_load("gpt-2");
    struct fg_tokenizer *t = NULL;
    struct fg_err err = {0};

    (void)state;
    v->spec.eos = 510;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "eos_token_id is 510"));
    v->spec.eos = 508;
    v->spec.unk = -2;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, &err), FG_EFORMAT);
    v->spec.unk = -1;
    v->spec.pre = view("?");
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, &err), FG_EUNSUPPORTED);
    v->spec.pre = view("gpt-2");
    v->spec.n_tokens = 0;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, &err), FG_EFORMAT);
    assert_null(t);
    /* Without types, the named ids are the control tokens. */
    v->spec.n_tokens = 510;
    v->spec.types = NULL;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, &err), 0);
    assert_true(fg_tokenizer_is_control(t, 507) && fg_tokenizer_is_control(t, 508));
    assert_false(fg_tokenizer_is_control(t, 505));
    fg_tokenizer_destroy(t);
    small_vocab_free(v);
}

struct worker {
    const struct fg_tokenizer *t;
    json_t *tests;
    size_t wrong;
};

static void *work(void *arg)
{
    struct worker *w = arg;

    for (size_t i = 0; i < 20 * json_array_size(w->tests); i++) {
        json_t *test = json_array_get(w->tests, i % json_array_size(w->tests));
        json_t *want = shared_member(json_object_get(test, "ids"), "minimax-m2");
        struct fg_str text = member(test, "text");
        int32_t *ids = NULL;
        size_t n = 0;
        w->wrong +=
            fg_tokenizer_encode(w->t, (struct fg_str){text.p, text.n},
                                (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL}, &ids,
                                &n, NULL) < 0 ||
            n != json_array_size(want);
        for (size_t k = 0; k < n && n == json_array_size(want); k++) {
            w->wrong += ids[k] != json_integer_value(json_array_get(want, k));
        }
        free(ids);
    }
    return NULL;
}

static void one_tokenizer_many_threads(void **state)
{
    struct fg_tokenizer *t = small_tokenizer("minimax-m2");
    json_t *tests = load_vectors("pretokenizers.json");
    pthread_t threads[4];
    struct worker workers[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        workers[i] = (struct worker){t, tests, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    json_decref(tests);
    fg_tokenizer_destroy(t);
}

/* Whatever the file says of their types; what people write ends nothing unless the file says so. */
static void ends_of_turns(void **state)
{
    static const struct {
        const char *text;
        int32_t type;
        bool ends;
    } tests[] = {
        {"<|im_end|>", 1, true},
        {"<|eot_id|>", 4, true},
        {"<|eom_id|>", 3, true},
        {"<end_of_turn>", 1, true},
        {"<|endoftext|>", 4, true},
        {"<|return|>", 1, true},
        {"<|call|>", 1, true},
        {"<|end|>", 3, true},
        {"</s>", 3, true},
        {"</s>", 1, false},
        {"</s>", 4, false},
        {"<|im_start|>", 3, false},
        {"<|im_end|> ", 3, false},
        {"<|end_of_text|>", 5, true},
        {"<\xef\xbd\x9c"
         "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
         1, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        struct small_vocab *v = small_vocab_load("gpt-2");
        struct fg_tokenizer *t = NULL;
        v->tokens[510] = view(tests[i].text);
        v->types[510] = tests[i].type;
        v->spec.n_tokens = 511;
        assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
        if (fg_tokenizer_is_eog(t, 510) != tests[i].ends) {
            fail_msg("%s of type %d: wanted %d", tests[i].text, tests[i].type, tests[i].ends);
        }
        assert_true(!tests[i].ends || fg_tokenizer_is_control(t, 510));
        fg_tokenizer_destroy(t);
        small_vocab_free(v);
    }
}

static void ends_by_id(void **state)
{
    struct small_vocab *v = small_vocab_load("gpt-2");
    struct fg_tokenizer *t = NULL;

    (void)state;
    v->spec.eot = 300;
    v->spec.eom = 301;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    assert_true(fg_tokenizer_is_eog(t, 300) && fg_tokenizer_is_eog(t, 301));
    assert_false(fg_tokenizer_is_eog(t, 302));
    fg_tokenizer_destroy(t);
    v->spec.eom = (int32_t)v->spec.n_tokens;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), FG_EFORMAT);
    v->spec.eom = -1;
    /* Between the messages of a turn. */
    v->tokens[510] = view("<|end|>");
    v->tokens[511] = view("<|return|>");
    v->tokens[505] = view("<|call|>");
    v->types[510] = v->types[511] = 3;
    v->spec.n_tokens = 512;
    v->spec.n_merges = 0;
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    assert_false(fg_tokenizer_is_eog(t, 510));
    assert_true(fg_tokenizer_is_eog(t, 511) && fg_tokenizer_is_eog(t, 505));
    fg_tokenizer_destroy(t);
    small_vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_of_turns),
        cmocka_unit_test(ends_by_id),
        cmocka_unit_test(published_ids),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(ill_formed_bytes),
        cmocka_unit_test(special_tokens),
        cmocka_unit_test(longest_match),
        cmocka_unit_test(content_spans),
        cmocka_unit_test(spans_do_not_cut),
        cmocka_unit_test(begin_end_and_space),
        cmocka_unit_test(missing_bytes),
        cmocka_unit_test(whole_pieces),
        cmocka_unit_test(asking_about_tokens),
        cmocka_unit_test(refused_specs),
        cmocka_unit_test(one_tokenizer_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
