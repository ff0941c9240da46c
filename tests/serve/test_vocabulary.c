/* The vocabulary of a model file: which tokenizers are read, and what a file may get wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gguf_writer.h"
#include "serve/vocabulary.h"

enum { TOKENS = 6 };

static const char *const tokens[TOKENS] = {"<unk>", "<s>", "</s>", "\u2581", "a", "\u2581a"};

/* A SentencePiece vocabulary; the caller changes it and gives it to open_vocabulary(). */
static struct gguf_writer *spm(const char *model)
{
    static const int32_t types[TOKENS] = {2, 3, 3, 1, 1, 1};
    static const float scores[TOKENS] = {0, 0, 0, -1, -2, -3};
    struct gguf_writer *w = gguf_writer_create();

    gguf_writer_str(w, "tokenizer.ggml.model", model);
    gguf_writer_str_array(w, "tokenizer.ggml.tokens", tokens, TOKENS);
    gguf_writer_i32_array(w, "tokenizer.ggml.token_type", types, TOKENS);
    gguf_writer_f32_array(w, "tokenizer.ggml.scores", scores, TOKENS);
    gguf_writer_u32(w, "tokenizer.ggml.bos_token_id", 1);
    gguf_writer_u32(w, "tokenizer.ggml.eos_token_id", 2);
    gguf_writer_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    return w;
}

/* Takes the writer. */
static int open_vocabulary(struct gguf_writer *w, struct fg_vocabulary *v, struct fg_err *err)
{
    struct fg_gguf *g = NULL;
    int rc;

    assert_int_equal(gguf_writer_open(w, &g, err), 0);
    gguf_writer_destroy(w);
    rc = fg_vocabulary_init(v, g, TOKENS, (struct fg_str){"", 0}, err);
    fg_gguf_close(g);
    return rc;
}

static void expect(struct gguf_writer *w, const char *text, const int32_t *want, size_t n_want)
{
    struct fg_vocabulary v;
    struct fg_err err = {0};
    int32_t *ids = NULL;
    size_t n = 0;

    if (open_vocabulary(w, &v, &err))
        fail_msg("%s", err.text);
    assert_int_equal(fg_tokenizer_encode(v.tokenizer, (struct fg_str){text, strlen(text)},
                                         (struct fg_encode_options){.flags = FG_ENCODE_ADD_SPECIAL},
                                         &ids, &n, &err),
                     0);
    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, n * sizeof *ids);
    free(ids);
    fg_vocabulary_finish(&v);
}

/* Left out, add_bos_token and add_space_prefix mean true for SentencePiece. */
static void sentencepiece(void **state)
{
    struct gguf_writer *w;

    (void)state;
    expect(spm("llama"), "a", (const int32_t[]){1, 5}, 2);
    w = spm("llama");
    gguf_writer_bool(w, "tokenizer.ggml.add_space_prefix", false);
    gguf_writer_bool(w, "tokenizer.ggml.add_bos_token", false);
    expect(w, "aa", (const int32_t[]){4, 4}, 2);
}

/* What clients are told of the special tokens, and of the chat template. */
static void special_tokens_are_told(void **state)
{
    struct gguf_writer *w = spm("llama");
    const struct fg_tokenizer_info *t;
    struct fg_vocabulary v;
    struct fg_err err = {0};

    (void)state;
    gguf_writer_str(w, "tokenizer.chat_template", "{{ malformed");
    assert_int_equal(open_vocabulary(w, &v, &err), 0);
    t = &v.about;
    assert_int_equal(t->bos.id, 1);
    assert_int_equal(t->bos.text.n, 3);
    assert_memory_equal(t->bos.text.p, "<s>", 3);
    assert_int_equal(t->eos.id, 2);
    assert_int_equal(t->unk.id, 0);
    assert_int_equal(t->pad.id, -1);
    assert_int_equal(t->pad.text.n, 0);
    assert_true(t->add_bos);
    assert_int_equal(t->chat_template.n, 12);
    assert_memory_equal(t->chat_template.p, "{{ malformed", 12);
    fg_vocabulary_finish(&v);
    w = spm("llama");
    gguf_writer_bool(w, "tokenizer.ggml.add_bos_token", false);
    assert_int_equal(open_vocabulary(w, &v, &err), 0);
    assert_false(v.about.add_bos);
    assert_int_equal(v.about.chat_template.n, 0);
    fg_vocabulary_finish(&v);
}

static void refuse(struct gguf_writer *w, int code, const char *words)
{
    struct fg_vocabulary v;
    struct fg_err err = {0};
    int rc = open_vocabulary(w, &v, &err);

    if (rc != code || !strstr(err.text, words))
        fail_msg("got %d, %s; wanted %d, %s", rc, err.text, code, words);
}

static void refusals(void **state)
{
    struct gguf_writer *w;

    (void)state;
    refuse(spm("t5"), FG_EUNSUPPORTED, "tokenizer.ggml.model is `t5`");
    refuse(spm("bert"), FG_EUNSUPPORTED, "tokenizer.ggml.model is `bert`");
    w = spm("llama");
    gguf_writer_drop_key(w, "tokenizer.ggml.scores");
    refuse(w, FG_ENOTFOUND, "tokenizer.ggml.scores");
    w = spm("llama");
    gguf_writer_drop_key(w, "tokenizer.ggml.scores");
    gguf_writer_f32_array(w, "tokenizer.ggml.scores", (const float[]){1, 2}, 2);
    refuse(w, FG_EFORMAT, "tokenizer.ggml.scores has 2 entries, but there are 6 tokens");
    w = spm("gpt2");
    gguf_writer_str_array(w, "tokenizer.ggml.merges", tokens, 0);
    gguf_writer_str(w, "tokenizer.ggml.pre", "no-such");
    refuse(w, FG_EUNSUPPORTED, "\"no-such\"");
    w = spm("llama");
    gguf_writer_u32(w, "tokenizer.ggml.eom_token_id", TOKENS);
    refuse(w, FG_EFORMAT, "tokenizer.ggml.eom_token_id is 6");
}

/* Any type of integers that fit. */
static void suppressed(void **state)
{
    enum { U8 = 0, U64 = 10 };
    struct gguf_writer *w = spm("llama");
    struct fg_vocabulary v;
    struct fg_err err = {0};

    (void)state;
    gguf_writer_array(w, "tokenizer.ggml.suppress_tokens", U8, (const uint8_t[]){5, 3, 5}, 3, 3);
    assert_int_equal(open_vocabulary(w, &v, &err), 0);
    assert_int_equal(v.n_suppressed, 2);
    assert_true(fg_vocabulary_suppresses(&v, 3) && fg_vocabulary_suppresses(&v, 5));
    assert_false(fg_vocabulary_suppresses(&v, 4));
    fg_vocabulary_finish(&v);
    w = spm("llama");
    gguf_writer_array(w, "tokenizer.ggml.suppress_tokens", U64, (const uint64_t[]){1, UINT64_MAX},
                      2, 16);
    refuse(w, FG_EFORMAT, "tokenizer.ggml.suppress_tokens");
    w = spm("llama");
    gguf_writer_str(w, "tokenizer.ggml.suppress_tokens", "1,2");
    refuse(w, FG_EFORMAT, "tokenizer.ggml.suppress_tokens");
}

/* The form of answers: by the template, else by the tokens; tags that are control tokens have
 * marks. */
static void the_form_of_answers_is_found(void **state)
{
    static const char *const words[TOKENS] = {"<unk>",        "<s>",     "</s>",
                                              "[TOOL_CALLS]", "<think>", "a"};
    static const int32_t types[TOKENS] = {2, 3, 3, 3, 4, 1};
    static const float scores[TOKENS] = {0};
    struct gguf_writer *w = gguf_writer_create();
    struct fg_vocabulary v;
    struct fg_err err = {0};

    (void)state;
    gguf_writer_str(w, "tokenizer.ggml.model", "llama");
    gguf_writer_str_array(w, "tokenizer.ggml.tokens", words, TOKENS);
    gguf_writer_i32_array(w, "tokenizer.ggml.token_type", types, TOKENS);
    gguf_writer_f32_array(w, "tokenizer.ggml.scores", scores, TOKENS);
    gguf_writer_u32(w, "tokenizer.ggml.eos_token_id", 2);
    gguf_writer_str(w, "tokenizer.chat_template",
                    "{{ tools|tojson }}{% for m in messages %}{{ m.content }}{% endfor %}");
    if (open_vocabulary(w, &v, &err))
        fail_msg("%s", err.text);
    assert_int_equal(v.form.tools, FG_TOOLS_MISTRAL);
    assert_int_equal(v.form.reasoning, FG_REASONING_THINK);
    assert_int_equal(v.form.control, 1); /* <think> is user defined: it has its text */
    assert_int_equal(v.marks[0].token, 3);
    assert_int_equal((unsigned char)v.marks[0].mark, FG_FIRST_MARK);
    assert_int_equal(v.marks[1].mark, 0);
    fg_vocabulary_finish(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentencepiece),
        cmocka_unit_test(special_tokens_are_told),
        cmocka_unit_test(refusals),
        cmocka_unit_test(the_form_of_answers_is_found),
        cmocka_unit_test(suppressed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
