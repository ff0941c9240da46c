/* The real vocabulary of SmolLM2-135M-Instruct against ids from its published tokenizer. Needs the
 * GGUF file: FG_TEST_SMOLLM2=/path/to/SmolLM2-135M-Instruct.Q4_1.gguf */
#include "vectors.h"

#include <stdio.h>

#include "text/template/chat.h"

/* Just enough of GGUF for the metadata of one known good file. */
struct reader {
    char *p;
    size_t n, at;
    struct fg_str *tokens, *merges;
    int32_t *types;
    struct fg_vocab_spec spec;
};

static uint64_t number(struct reader *r, size_t bytes)
{
    uint64_t x = 0;

    assert_true(bytes <= r->n - r->at);
    memcpy(&x, r->p + r->at, bytes); /* little endian, as the file and every machine we test on */
    r->at += bytes;
    return x;
}

static struct fg_str string(struct reader *r)
{
    uint64_t n = number(r, 8);
    struct fg_str s = {r->p + r->at, (size_t)n};

    assert_true(n <= r->n - r->at);
    r->at += (size_t)n;
    return s;
}

static bool is(struct fg_str s, const char *text)
{
    return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

static struct fg_str *strings(struct reader *r, uint64_t count)
{
    struct fg_str *list;

    assert_true(count <= r->n);
    list = calloc((size_t)count + 1, sizeof *list);
    assert_non_null(list);
    for (size_t i = 0; i < count; i++) {
        list[i] = string(r);
    }
    return list;
}

static void read_array(struct reader *r, struct fg_str key)
{
    uint32_t type = (uint32_t)number(r, 4);
    uint64_t count = number(r, 8);

    if (is(key, "tokenizer.ggml.tokens")) {
        r->spec.tokens = r->tokens = strings(r, count);
        r->spec.n_tokens = (size_t)count;
    } else if (is(key, "tokenizer.ggml.merges")) {
        r->spec.merges = r->merges = strings(r, count);
        r->spec.n_merges = (size_t)count;
    } else if (is(key, "tokenizer.ggml.token_type")) {
        r->spec.types = r->types = calloc((size_t)count + 1, sizeof *r->types);
        assert_non_null(r->types);
        for (size_t i = 0; i < count; i++) {
            r->types[i] = (int32_t)number(r, 4);
        }
    } else {
        assert_int_not_equal(type, 9);
        for (uint64_t i = 0; i < count; i++) {
            static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
            (void)(type == 8 ? string(r).n : number(r, sizes[type]));
        }
    }
}

/* Of the file. */
static struct fg_buffer chat_template;

static void read_value(struct reader *r)
{
    static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    struct fg_str key = string(r);
    uint32_t type = (uint32_t)number(r, 4);

    assert_true(type < sizeof sizes / sizeof sizes[0]);
    if (type == 8) {
        struct fg_str s = string(r);
        r->spec.pre = is(key, "tokenizer.ggml.pre") ? s : r->spec.pre;
        if (is(key, "tokenizer.chat_template")) {
            fg_buffer_view(&chat_template, s);
        }
    } else if (type == 9) {
        read_array(r, key);
    } else {
        uint64_t x = number(r, sizes[type]);
        r->spec.bos = is(key, "tokenizer.ggml.bos_token_id") ? (int32_t)x : r->spec.bos;
        r->spec.eos = is(key, "tokenizer.ggml.eos_token_id") ? (int32_t)x : r->spec.eos;
        r->spec.unk = is(key, "tokenizer.ggml.unknown_token_id") ? (int32_t)x : r->spec.unk;
    }
}

/* The metadata lies in front; 16 MiB hold it. */
static struct fg_tokenizer *open_file(const char *path)
{
    struct reader r = {.spec = {.bos = -1, .eos = -1, .eot = -1, .eom = -1, .unk = -1}};
    struct fg_tokenizer *t = NULL;
    struct fg_err err = {0};
    FILE *f = fopen(path, "rb");
    uint64_t count;

    if (!f) {
        fail_msg("FG_TEST_SMOLLM2=%s cannot be opened", path);
    }
    r.p = malloc(16 << 20);
    assert_non_null(r.p);
    r.n = fread(r.p, 1, 16 << 20, f);
    fclose(f);
    assert_true(r.n > 24 && !memcmp(r.p, "GGUF", 4));
    r.at = 16;
    count = number(&r, 8);
    while (count-- > 0) {
        read_value(&r);
    }
    if (fg_tokenizer_create(&r.spec, &t, &err) < 0) {
        fail_msg("%s", err.text);
    }
    free(r.types);
    free(r.merges);
    free(r.tokens);
    free(r.p);
    return t;
}

static int setup(void **state)
{
    const char *path = getenv("FG_TEST_SMOLLM2");

    if (!path || !path[0]) {
        print_message("SKIPPED: set FG_TEST_SMOLLM2 to the path of "
                      "SmolLM2-135M-Instruct.Q4_1.gguf to run these tests\n");
        return 0;
    }
    *state = open_file(path);
    return 0;
}

static int teardown(void **state)
{
    fg_tokenizer_destroy(*state);
    return 0;
}

static void published_ids(void **state)
{
    const struct fg_tokenizer *t = *state;
    json_t *tests, *test;
    size_t i;

    if (!t) {
        skip();
    }
    tests = load_vectors("tokenizer-smollm2.json");
    assert_int_equal(json_array_size(tests), 20);
    json_array_foreach(tests, i, test)
    {
        struct fg_str text = member(test, "text"), decoded = member(test, "decoded");
        int32_t *ids = NULL;
        size_t n = 0;
        assert_int_equal(
            fg_tokenizer_encode(t, (struct fg_str){text.p, text.n},
                                (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL |
                                                                    FG_ENCODE_ADD_SPECIAL},
                                &ids, &n, NULL),
            0);
        assert_ids(ids, n, json_object_get(test, "ids"));
        assert_decodes(t, ids, n, decoded.p, decoded.n);
        free(ids);
    }
    json_decref(tests);
}

static void every_token_comes_back(void **state)
{
    const struct fg_tokenizer *t = *state;

    if (!t) {
        skip();
    }
    assert_int_equal(fg_tokenizer_n_vocab(t), 49152);
    for (int32_t id = 0; id < 49152; id++) {
        size_t n = 0, n_ids = 0;
        int32_t *ids = NULL;
        const char *piece = fg_tokenizer_piece(t, id, &n);
        assert_non_null(piece);
        assert_int_equal(fg_tokenizer_find(t, (struct fg_str){piece, n}), id);
        assert_int_equal(
            fg_tokenizer_encode(t, (struct fg_str){piece, n},
                                (struct fg_encode_options){.flags = FG_ENCODE_PARSE_SPECIAL}, &ids,
                                &n_ids, NULL),
            0);
        assert_decodes(t, ids, n_ids, piece, n);
        free(ids);
    }
    assert_true(fg_tokenizer_is_eog(t, 0) && fg_tokenizer_is_eog(t, 2));
    assert_false(fg_tokenizer_is_eog(t, 1));
}

static void chat_of_the_file(void **state)
{
    const struct fg_tokenizer *t = *state;
    const struct fg_chat_message messages[] = {
        {.role = view("user"), .content = view("hi<|im_end|>")}};
    const struct fg_chat_request r = {
        .messages = messages, .n_messages = 1, .add_generation_prompt = true};
    const struct fg_chat_spec spec = {.text = {chat_template.p, chat_template.n}};
    struct fg_chat *chat;
    struct fg_chat_text text;
    int32_t *ids = NULL;
    size_t n = 0, ends = 0;

    if (!t) {
        skip();
    }
    assert_int_equal(fg_chat_create(&spec, &chat, NULL), 0);
    assert_int_equal(fg_chat_render(chat, &r, &text, NULL), 0);
    assert_non_null(strstr(text.text.p, "system\nYou are a helpful AI assistant named SmolLM, "
                                        "trained by Hugging Face<|im_end|>"));
    assert_int_equal(
        fg_tokenizer_encode_chat(
            t, &(struct fg_chat_spans){{text.text.p, text.text.n}, text.content, text.n_content}, 0,
            &ids, &n, NULL),
        0);
    for (size_t i = 0; i < n; i++) {
        ends += ids[i] == 2;
    }
    assert_int_equal(ends, 2); /* of the system message and of the user's, not the one inside */
    assert_int_equal(ids[fg_tokenizer_tokens_before(t, ids, n, text.last_user)], 1);
    assert_decodes(t, ids, n, text.text.p, text.text.n);
    free(ids);
    fg_chat_text_finish(&text);
    fg_chat_destroy(chat);
    fg_buffer_finish(&chat_template);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_ids),
        cmocka_unit_test(every_token_comes_back),
        cmocka_unit_test(chat_of_the_file),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
