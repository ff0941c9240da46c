/* Merging against the definition taken literally: find the best pair, merge it, start again. */
#include "vectors.h"

#include "text/tokenizer/bpe.h"

struct naive {
    struct fg_str part[64];
    size_t n;
};

/* The rank of the merge that joins a and b, from the texts of the list itself. */
static size_t rank_of(const struct small_vocab *v, struct fg_str a, struct fg_str b)
{
    for (size_t i = 0; i < v->spec.n_merges; i++) {
        struct fg_str m = v->merges[i];
        if (m.n == a.n + 1 + b.n && !memcmp(m.p, a.p, a.n) && m.p[a.n] == ' ' &&
            !memcmp(m.p + a.n + 1, b.p, b.n)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* `w` is a word in letters of the alphabet that are one byte each. */
static void naive_encode(const struct small_vocab *v, const char *w, struct naive *out)
{
    out->n = strlen(w);
    for (size_t i = 0; i < out->n; i++) {
        out->part[i] = (struct fg_str){w + i, 1};
    }
    for (;;) {
        size_t best = SIZE_MAX, where = 0;
        for (size_t i = 0; i + 1 < out->n; i++) {
            size_t rank = rank_of(v, out->part[i], out->part[i + 1]);
            if (rank < best) {
                best = rank;
                where = i;
            }
        }
        if (best == SIZE_MAX) {
            return;
        }
        out->part[where].n += out->part[where + 1].n;
        out->n--;
        memmove(out->part + where + 1, out->part + where + 2,
                (out->n - where - 1) * sizeof out->part[0]);
    }
}

static void equals_the_definition(void **state)
{
    static const char letters[] = "eeettaaooiinnsshrdlucm";
    struct small_vocab *v = small_vocab_load("gpt-2");
    struct fg_vocab vocab;
    struct fg_bpe bpe;
    struct fg_bpe_work work = {0};
    uint64_t seed = 0x1234567;
    size_t merged = 0;

    (void)state;
    assert_int_equal(fg_vocab_init(&vocab, &v->spec, NULL), 0);
    assert_int_equal(fg_bpe_init(&bpe, &vocab, &v->spec, NULL), 0);
    for (int round = 0; round < 400; round++) {
        char word[61];
        size_t n = 1 + next_random(&seed) % 60;
        struct naive want;
        for (size_t i = 0; i < n; i++) {
            word[i] = letters[next_random(&seed) % (sizeof letters - 1)];
        }
        word[n] = '\0';
        naive_encode(v, word, &want);
        work.n_ids = 0;
        assert_int_equal(fg_bpe_encode(&bpe, &vocab, &work, (struct fg_str){word, n}, -1), 0);
        assert_int_equal(work.n_ids, want.n);
        for (size_t i = 0; i < want.n; i++) {
            struct fg_str piece = fg_vocab_piece(&vocab, work.ids[i]);
            assert_int_equal(piece.n, want.part[i].n);
            assert_memory_equal(piece.p, want.part[i].p, piece.n);
        }
        merged += n - want.n;
    }
    assert_true(merged > 1000); /* the words do exercise the merges */
    fg_bpe_work_finish(&work);
    fg_bpe_finish(&bpe);
    fg_vocab_finish(&vocab);
    small_vocab_free(v);
}

static void refused_merges(void **state)
{
    static const struct {
        const char *merge, *says;
    } tests[] = {
        {"ab", "merges[3]"},      {"", "merges[3]"},           {"a ", "merges[3]"},
        {" b", "merges[3]"},      {"zqx b", "its left part"},  {"a zqx", "its right part"},
        {"q x", "what it makes"}, {"\xff\xff x", "left part"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        struct small_vocab *v = small_vocab_load("gpt-2");
        struct fg_tokenizer *t = NULL;
        struct fg_err err = {0};
        v->merges[3] = view(tests[i].merge);
        assert_int_equal(fg_tokenizer_create(&v->spec, &t, &err), FG_EFORMAT);
        assert_null(t);
        assert_non_null(strstr(err.text, tests[i].says));
        small_vocab_free(v);
    }
}

/* A file whose merges make a control token must not let plain text become one. */
static void no_control_token_by_merging(void **state)
{
    struct small_vocab *v = small_vocab_load("gpt-2");
    struct fg_tokenizer *t = NULL;
    int32_t *ids = NULL;
    size_t n = 0;

    (void)state;
    v->tokens[v->spec.n_tokens] = view("zq");
    v->types[v->spec.n_tokens++] = 3;
    v->merges[v->spec.n_merges++] = view("z q");
    assert_int_equal(fg_tokenizer_create(&v->spec, &t, NULL), 0);
    assert_int_equal(fg_tokenizer_encode(t, (struct fg_str){"zq", 2},
                                         (struct fg_encode_options){.most = 0}, &ids, &n, NULL),
                     0);
    assert_int_equal(n, 2);
    assert_false(fg_tokenizer_is_control(t, ids[0]));
    free(ids);
    fg_tokenizer_destroy(t);
    small_vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_definition),
        cmocka_unit_test(refused_merges),
        cmocka_unit_test(no_control_token_by_merging),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
