/* Texts for later requests: whose they are, how many memory has, when they go, and that the store
 * gives them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cache/cache.h"
#include "prefix/prefix_keys.h"
#include "serve/documents.h"
#include "tests/dir.h"

static const struct fg_tenant one = {{1}}, two = {{2}};
static const struct fg_document_job by_one = {.tenant = {{1}}, .id = 7};
static const struct fg_document_job by_two = {.tenant = {{2}}, .id = 8};

static void init(struct fg_documents *d)
{
    fg_documents_init(d, "call", FG_CALLS_BYTES);
}

static void keep(struct fg_documents *d, const struct fg_document_job *by, const char *id,
                 const char *text)
{
    fg_documents_keep(d, by, id, (struct fg_str){text, strlen(text)});
}

static bool has(struct fg_documents *d, const struct fg_tenant *tenant, const char *id,
                const char *want)
{
    struct fg_str text;
    bool found = fg_documents_find(d, tenant, (struct fg_str){id, strlen(id)}, &text);

    if (found) {
        assert_int_equal(text.n, strlen(want));
        assert_memory_equal(text.p, want, text.n);
        free((char *)text.p);
    }
    return found;
}

static void forget(struct fg_documents *d, uint8_t tenant, uint64_t id)
{
    fg_documents_forget(d, &(struct fg_documents_forgotten){.tenant = {{tenant}}, .id = id});
}

static void texts_are_a_tenants_own(void **state)
{
    struct fg_documents d;

    (void)state;
    init(&d);
    assert_false(has(&d, &one, "call_a_0", ""));
    keep(&d, &by_one, "call_a_0", "hello");
    keep(&d, &by_two, "call_b_0", "there");
    assert_true(has(&d, &one, "call_a_0", "hello"));
    assert_false(has(&d, &two, "call_a_0", ""));
    assert_false(has(&d, &one, "call_a_", ""));
    assert_false(fg_documents_drop(&d, &two, (struct fg_str){"call_a_0", 8}));
    keep(&d, &by_one, "call_c_0", "more");
    assert_true(fg_documents_drop(&d, &one, (struct fg_str){"call_a_0", 8}));
    assert_false(has(&d, &one, "call_a_0", ""));
    assert_true(has(&d, &one, "call_c_0", "more"));
    forget(&d, 1, 7);
    assert_false(has(&d, &one, "call_c_0", ""));
    assert_true(has(&d, &two, "call_b_0", "there"));
    fg_documents_finish(&d);
}

/* The oldest go first, a tenant's own where it has half of all. */
static void the_oldest_go_first(void **state)
{
    static char large[FG_CALLS_BYTES / 4 + 1];
    struct fg_documents d;
    char id[32];

    (void)state;
    init(&d);
    keep(&d, &by_two, "call_two", "x");
    for (int i = 0; i < FG_DOCUMENTS_MOST / 2 + 3; i++) {
        snprintf(id, sizeof id, "call_%d", i);
        keep(&d, &by_one, id, "x");
    }
    assert_false(has(&d, &one, "call_2", ""));
    assert_true(has(&d, &one, "call_3", "x"));
    assert_true(has(&d, &two, "call_two", "x"));
    memset(large, 'y', sizeof large);
    fg_documents_keep(&d, &by_one, "too_large", (struct fg_str){large, sizeof large});
    assert_true(has(&d, &one, "call_3", "x"));
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "large_%d", i);
        fg_documents_keep(&d, &by_two, id, (struct fg_str){large, sizeof large - 1});
    }
    assert_false(has(&d, &two, "call_two", ""));
    assert_true(has(&d, &one, "call_3", "x"));
    assert_int_equal(d.bytes, FG_CALLS_BYTES / 2 + FG_DOCUMENTS_MOST / 2);
    assert_int_equal(d.n, 2 + FG_DOCUMENTS_MOST / 2);
    forget(&d, 2, 8);
    forget(&d, 1, 8);
    assert_int_equal(d.bytes, 0);
    fg_documents_finish(&d);
}

static bool keeps(struct fg_documents *d, uint8_t tenant, uint64_t job,
                  const struct fg_prefix *prefix)
{
    const struct fg_document_job by = {.tenant = {{tenant}}, .id = job, .prefix = prefix};
    static int n;
    char id[32];

    snprintf(id, sizeof id, "call_%d", n++);
    keep(d, &by, id, "x");
    return has(d, &by.tenant, id, "x");
}

/* A job that runs while its tenant's texts are dropped has its own kept no more. */
static void what_was_under_way_is_not_kept(void **state)
{
    struct fg_documents d;

    (void)state;
    init(&d);
    forget(&d, 1, 7);
    assert_false(keeps(&d, 1, 6, NULL));
    assert_false(keeps(&d, 1, 7, NULL));
    assert_true(keeps(&d, 1, 8, NULL));
    assert_true(keeps(&d, 2, 6, NULL));
    /* Many others: it is not known any more whose it was. */
    for (int i = 0; i < FG_DOCUMENTS_FORGOTTEN; i++)
        forget(&d, (uint8_t)(10 + i), 20);
    assert_false(keeps(&d, 1, 7, NULL));
    assert_true(keeps(&d, 1, 9, NULL));
    assert_false(keeps(&d, 10, 20, NULL));
    assert_true(keeps(&d, 10, 21, NULL));
    /* Again and again is once. */
    for (int i = 0; i < FG_DOCUMENTS_FORGOTTEN; i++)
        forget(&d, 10, 30);
    assert_true(keeps(&d, 1, 10, NULL));
    assert_false(keeps(&d, 10, 30, NULL));
    fg_documents_finish(&d);
}

/* A part: only of what goes through that block. */
static void what_is_beside_a_part_is_kept(void **state)
{
    struct fg_key keys[2] = {{{1}}, {{2}}}, others[2] = {{{1}}, {{3}}};
    const struct fg_prefix within = {.keys = keys, .n = 2}, beside = {.keys = others, .n = 2};
    struct fg_documents_forgotten part = {.tenant = one, .id = 7, .part = true, .key = {{2}}};
    struct fg_documents d;

    (void)state;
    init(&d);
    fg_documents_forget(&d, &part);
    assert_false(keeps(&d, 1, 7, &within));
    assert_true(keeps(&d, 1, 7, &beside));
    assert_true(keeps(&d, 1, 8, &within));
    assert_true(keeps(&d, 2, 7, &within));
    forget(&d, 1, 7);
    assert_false(keeps(&d, 1, 7, &beside));
    fg_documents_finish(&d);
}

static struct fg_cache *open_store(const char *dir)
{
    struct fg_cache_options opt = {.dir = dir, .max_bytes = 8 << 20};
    struct fg_cache *c;
    struct fg_err err;

    assert_int_equal(fg_cache_open(&opt, &c, &err), 0);
    return c;
}

/* Memory begins anew; two kinds have ids of their own. */
static void the_store_gives_them_back(void **state)
{
    char *dir = dir_make();
    struct fg_key keys[1] = {{{1}}};
    const struct fg_prefix prefix = {.root = {{9}}, .keys = keys, .n = 1};
    struct fg_document_job by = by_one;
    struct fg_documents calls, responses;
    struct fg_cache_stats s;
    struct fg_cache *c;

    (void)state;
    by.prefix = &prefix;
    for (int i = 0; i < 3; i++) {
        c = open_store(dir);
        init(&calls);
        fg_documents_init(&responses, "response", FG_RESPONSES_BYTES);
        fg_documents_store_in(&calls, c);
        fg_documents_store_in(&responses, c);
        if (i == 0) {
            keep(&calls, &by, "a", "hello");
            keep(&responses, &by, "a", "there");
            keep(&calls, &by, "b", "gone");
        }
        assert_true(has(&calls, &one, "a", "hello"));
        assert_true(has(&responses, &one, "a", "there"));
        assert_false(has(&responses, &one, "b", ""));
        assert_false(has(&calls, &two, "a", ""));
        assert_true(has(&calls, &one, "a", "hello"));
        fg_cache_stats(c, &s);
        assert_int_equal(s.hits_documents, i ? 2 : 0); /* then memory has them again */
        assert_true(fg_documents_drop(&calls, &one, (struct fg_str){"b", 1}) == (i == 0));
        fg_cache_stats(c, &s);
        assert_int_equal(s.documents, 2);
        fg_documents_finish(&calls);
        fg_documents_finish(&responses);
        fg_cache_close(c);
    }
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_a_tenants_own),
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(what_was_under_way_is_not_kept),
        cmocka_unit_test(what_is_beside_a_part_is_kept),
        cmocka_unit_test(the_store_gives_them_back),
    };

    return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
