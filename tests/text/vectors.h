/* What the tests of daemon/text share: JSON vectors and the small committed vocabulary. */
#ifndef FG_TESTS_TEXT_VECTORS_H
#define FG_TESTS_TEXT_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "text/tokenizer/tokenizer.h"

/* The array or object in tests/vectors/`name`; the caller's reference. */
static inline json_t *load_vectors(const char *name)
{
    char path[1024];
    json_error_t where;
    json_t *root;

    snprintf(path, sizeof path, "%s/%s", FG_TEST_VECTORS, name);
    root = json_load_file(path, JSON_ALLOW_NUL, &where);
    if (!root) {
        fail_msg("%s:%d: %s", path, where.line, where.text);
    }
    return root;
}

static inline struct fg_str view(const char *s)
{
    return (struct fg_str){s, strlen(s)};
}

/* A string member, empty when there is none; lives as long as `object`. */
static inline struct fg_str member(const json_t *object, const char *key)
{
    const json_t *s = json_object_get(object, key);

    return s ? (struct fg_str){json_string_value(s), json_string_length(s)} : view("");
}

/* Member `key` of `object`; where it is a string, the member of that name. */
static inline json_t *shared_member(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return json_is_string(value) ? json_object_get(object, json_string_value(value)) : value;
}

/* The small vocabulary as a spec that a test may change before it makes a tokenizer of it. */
struct small_vocab {
    json_t *json;
    struct fg_str tokens[512], merges[256];
    int32_t types[512];
    struct fg_vocab_spec spec;
};

static inline struct small_vocab *small_vocab_load(const char *pre)
{
    struct small_vocab *v = calloc(1, sizeof *v);
    json_t *item;
    size_t i;

    assert_non_null(v);
    v->json = load_vectors("vocab-small.json");
    v->spec = (struct fg_vocab_spec){.pre = view(pre), .eot = -1, .eom = -1, .unk = -1};
    json_array_foreach(json_object_get(v->json, "tokens"), i, item)
    {
        v->tokens[i] = (struct fg_str){json_string_value(item), json_string_length(item)};
        v->types[i] =
            (int32_t)json_integer_value(json_array_get(json_object_get(v->json, "types"), i));
    }
    v->spec.n_tokens = i;
    json_array_foreach(json_object_get(v->json, "merges"), i, item)
    {
        v->merges[i] = (struct fg_str){json_string_value(item), json_string_length(item)};
    }
    v->spec.n_merges = i;
    v->spec.tokens = v->tokens;
    v->spec.merges = v->merges;
    v->spec.types = v->types;
    v->spec.bos = (int32_t)json_integer_value(json_object_get(v->json, "bos"));
    v->spec.eos = (int32_t)json_integer_value(json_object_get(v->json, "eos"));
    return v;
}

static inline void small_vocab_free(struct small_vocab *v)
{
    json_decref(v->json);
    free(v);
}

/* The tokenizer of the small vocabulary with that pre-tokenizer. */
static inline struct fg_tokenizer *small_tokenizer(const char *pre)
{
    struct small_vocab *v = small_vocab_load(pre);
    struct fg_tokenizer *t = NULL;
    struct fg_err err = {0};

    if (fg_tokenizer_create(&v->spec, &t, &err) < 0) {
        fail_msg("%s", err.text);
    }
    small_vocab_free(v); /* the tokenizer keeps nothing of the spec */
    return t;
}

/* Ids as decimal numbers with spaces between, so that a failed assertion shows both lists. */
static inline char *ids_text(const int32_t *ids, size_t n)
{
    char *out = malloc(n * 12 + 1);
    size_t at = 0;

    assert_non_null(out);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        at += (size_t)sprintf(out + at, "%s%d", i ? " " : "", ids[i]);
    }
    return out;
}

static inline void assert_ids(const int32_t *ids, size_t n, const json_t *wanted)
{
    size_t m = json_array_size(wanted);
    int32_t *list = calloc(m + 1, sizeof *list);
    char *a, *b;

    assert_non_null(list);
    assert_true(json_is_array(wanted));
    for (size_t i = 0; i < m; i++) {
        list[i] = (int32_t)json_integer_value(json_array_get(wanted, i));
    }
    a = ids_text(ids, n);
    b = ids_text(list, m);
    assert_string_equal(a, b);
    free(b);
    free(a);
    free(list);
}

/* Decodes and compares with text[0..n). */
static inline void assert_decodes(const struct fg_tokenizer *t, const int32_t *ids, size_t n_ids,
                                  const char *text, size_t n)
{
    char *back = NULL;
    size_t n_back = 0;

    assert_int_equal(fg_tokenizer_decode(t, ids, n_ids, &back, &n_back, NULL), 0);
    assert_int_equal(n_back, n);
    assert_memory_equal(back, text, n);
    free(back);
}

/* A small generator (xorshift), so that random tests are the same everywhere. */
static inline uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

#endif
