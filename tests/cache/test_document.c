/* Documents: found again by tenant and name alone, after a restart and a SIGKILL too; what is
 * damaged, too old, dropped or forgotten is a miss. */
#include "util.h"

#include <signal.h>
#include <sys/wait.h>

#include "cache/document.h"
#include "cache/handle.h"

enum { DAY = 86400 };

static uint64_t at; /* the time of day in these tests */

static uint64_t now(void)
{
    return at;
}

static struct fg_cache *open_at(const char *dir, uint64_t max_bytes)
{
    struct fg_cache_options opt = {.dir = dir, .max_bytes = max_bytes, .now = now};
    struct fg_cache *c = NULL;
    struct fg_err err = {0};

    if (fg_cache_open(&opt, &c, &err))
        fail_msg("open: %s", err.text);
    return c;
}

static struct fg_cache_document doc(uint8_t tenant, const char *name)
{
    return (struct fg_cache_document){.tenant = {tenant, 7}, .name = name};
}

/* A text that follows from its name. */
static char *text_of(const char *name, size_t n)
{
    char *text = malloc(n);

    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(name[i % strlen(name)] + (char)(i / 251));
    return text;
}

static int put_on(struct fg_cache *c, uint8_t tenant, const char *name, size_t n,
                  const struct fg_key *on)
{
    struct fg_cache_document d = doc(tenant, name);
    char *text = text_of(name, n);
    struct fg_blob *blob = fg_blob_copy_of(text, n);
    int rc;

    assert_non_null(blob);
    rc = fg_cache_put_document(c, &d, on, blob);
    fg_blob_unref(blob);
    free(text);
    return rc;
}

static int put_document(struct fg_cache *c, uint8_t tenant, const char *name, size_t n)
{
    const struct fg_key root = test_root();

    return put_on(c, tenant, name, n, &root);
}

/* The code of the read; what is read must be right. */
static int get(struct fg_cache *c, uint8_t tenant, const char *name, size_t n)
{
    struct fg_cache_document d = doc(tenant, name);
    struct fg_blob *blob;
    struct fg_err err = {0};
    char *want, *got;
    int rc = fg_cache_get_document(c, &d, &blob, &err);

    if (rc) {
        assert_null(blob);
        return rc;
    }
    assert_int_equal(fg_blob_bytes(blob), n);
    want = text_of(name, n);
    got = malloc(n);
    assert_non_null(got);
    fg_blob_read(blob, 0, got, n);
    assert_memory_equal(got, want, n);
    free(got);
    free(want);
    fg_blob_unref(blob);
    return 0;
}

static void test_found_again(void **state)
{
    char *dir = dir_make(), longest[FG_DOCUMENT_NAME], too_long[FG_DOCUMENT_NAME + 1];
    struct fg_cache *c = open_at(dir, 64 * MIB);
    struct fg_cache_stats s;
    (void)state;

    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(put_document(c, 1, "call/a", 20000), 0);
    assert_int_equal(get(c, 1, "call/a", 20000), 0); /* queued, or stored by now */
    assert_int_equal(put_document(c, 1, "one byte", 1), 0);
    assert_int_equal(put_document(c, 2, "call/a", 77), 0);
    assert_int_equal(put_document(c, 1, longest, 3), 0);
    assert_int_equal(put_document(c, 1, "largest", FG_DOCUMENT_MAX), 0);
    assert_int_equal(put_document(c, 1, "more", FG_DOCUMENT_MAX + 1), FG_EINVAL);
    assert_int_equal(put_document(c, 1, too_long, 1), FG_EINVAL);
    for (int i = 0; i < 2; i++) {
        fg_cache_flush(c);
        assert_int_equal(get(c, 1, "call/a", 20000), 0);
        assert_int_equal(get(c, 1, "one byte", 1), 0);
        assert_int_equal(get(c, 2, "call/a", 77), 0);
        assert_int_equal(get(c, 1, longest, 3), 0);
        assert_int_equal(get(c, 1, "largest", FG_DOCUMENT_MAX), 0);
        assert_int_equal(get(c, 3, "call/a", 77), FG_ENOTFOUND);
        assert_int_equal(get(c, 1, "call/b", 77), FG_ENOTFOUND);
        assert_int_equal(get(c, 1, "more", 1), FG_ENOTFOUND);
        s = stats(c);
        assert_int_equal(s.documents, 5);
        assert_int_equal(s.document_bytes, 20000 + 1 + 77 + 3 + FG_DOCUMENT_MAX);
        assert_int_equal(s.hits_documents, i ? 5 : 6);
        assert_int_equal(s.blocks + s.states + s.hits_blocks + s.hits_states, 0);
        fg_cache_close(c);
        c = open_at(dir, 64 * MIB);
    }
    fg_cache_close(c);
    dir_remove(dir);
}

static void test_survives_kill(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c;
    int status;
    pid_t pid;
    (void)state;

    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        c = open_at(dir, 8 * MIB);
        put_document(c, 1, "call/a", 20000);
        fg_cache_flush(c);
        put_document(c, 1, "call/late", 20000);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    c = open_at(dir, 8 * MIB);
    assert_int_equal(get(c, 1, "call/a", 20000), 0);
    status = get(c, 1, "call/late", 20000); /* whole, or not there */
    assert_true(status == 0 || status == FG_ENOTFOUND);
    fg_cache_close(c);
    dir_remove(dir);
}

/* How often the bytes stand in the file; there with a bit that is flipped. */
static int find_in_file(const char *dir, const char *bytes, size_t n, bool flip)
{
    FILE *f = fopen(path_in(dir, "data.mdb"), "r+b");
    uint8_t *all, *hit;
    long size;
    int times = 0;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    all = malloc((size_t)size);
    assert_non_null(all);
    rewind(f);
    assert_int_equal(fread(all, 1, (size_t)size, f), size);
    for (hit = all; (hit = memmem(hit, (size_t)(all + size - hit), bytes, n)); hit++, times++) {
        fseek(f, hit - all, SEEK_SET);
        if (flip)
            fputc(*hit ^ 1, f);
    }
    fclose(f);
    free(all);
    return times;
}

static void flip(const char *dir, const char *bytes, size_t n)
{
    assert_true(find_in_file(dir, bytes, n, true) > 0);
}

static void test_damaged_is_a_miss(void **state)
{
    char *dir = dir_make(), *text = text_of("call/a", 20000);
    struct fg_cache *c = open_at(dir, 8 * MIB);
    (void)state;

    assert_int_equal(put_document(c, 1, "call/a", 20000), 0);
    assert_int_equal(put_document(c, 1, "call/b", 20000), 0);
    fg_cache_close(c);
    flip(dir, text + 9000, 300);
    c = open_at(dir, 8 * MIB);
    assert_int_equal(get(c, 1, "call/a", 20000), FG_ECORRUPT);
    assert_int_equal(get(c, 1, "call/a", 20000), FG_ENOTFOUND);
    assert_int_equal(get(c, 1, "call/b", 20000), 0);
    assert_int_equal(stats(c).dropped_corrupt, 1);
    fg_cache_close(c);
    flip(dir, "call/b\0\0\0", 9); /* in its meta record: seen at open */
    c = open_at(dir, 8 * MIB);
    assert_int_equal(get(c, 1, "call/b", 20000), FG_ENOTFOUND);
    assert_int_equal(stats(c).dropped_corrupt, 1);
    assert_int_equal(put_document(c, 1, "call/a", 20000), 0);
    fg_cache_flush(c);
    assert_int_equal(get(c, 1, "call/a", 20000), 0);
    fg_cache_close(c);
    free(text);
    dir_remove(dir);
}

/* A key finds; the name proves. */
static void test_other_name_under_the_key(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = open_at(dir, 8 * MIB);
    struct fg_cache_fetch f = {.is_document = true};
    struct fg_err err;
    (void)state;

    assert_int_equal(put_document(c, 1, "call/a", 100), 0);
    fg_cache_flush(c);
    for (size_t i = 0; i < c->ix.n_buckets; i++)
        if (c->ix.buckets[i])
            f.key = c->ix.buckets[i]->key;
    assert_int_equal(fg_cache_get(c, &f, &err), FG_ENOTFOUND);
    assert_int_equal(get(c, 1, "call/a", 100), 0);
    fg_cache_close(c);
    dir_remove(dir);
}

static void test_lives_for_thirty_days(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c;
    (void)state;

    at = 1800000000;
    c = open_at(dir, 8 * MIB);
    assert_int_equal(put_document(c, 1, "old", 100), 0);
    fg_cache_flush(c);
    at += 10 * DAY;
    assert_int_equal(put_document(c, 1, "new", 100), 0);
    fg_cache_flush(c);
    at += 20 * DAY;
    assert_int_equal(get(c, 1, "old", 100), 0); /* on its last day */
    at++;
    assert_int_equal(get(c, 1, "old", 100), FG_ENOTFOUND);
    assert_int_equal(get(c, 1, "new", 100), 0);
    at += 3600;
    fg_cache_flush(c); /* the writer looks once an hour, then removes */
    fg_cache_flush(c);
    assert_int_equal(stats(c).documents, 1);
    assert_int_equal(stats(c).dropped_corrupt, 0);
    fg_cache_close(c);
    at += 30 * DAY;
    c = open_at(dir, 8 * MIB);
    fg_cache_flush(c);
    fg_cache_flush(c);
    assert_int_equal(stats(c).documents, 0);
    fg_cache_close(c);
    at = 1000; /* a clock that begins anew: what was put is of no known age */
    c = open_at(dir, 8 * MIB);
    assert_int_equal(put_document(c, 1, "early", 100), 0);
    assert_int_equal(get(c, 1, "early", 100), 0);
    fg_cache_close(c);
    dir_remove(dir);
}

static void test_drop(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = open_at(dir, 8 * MIB);
    struct fg_cache_document a = doc(1, "a"), b = doc(1, "b"), other = doc(2, "a");
    (void)state;

    assert_int_equal(put_document(c, 1, "a", 5000), 0);
    assert_int_equal(put_document(c, 2, "a", 5000), 0);
    fg_cache_flush(c);
    assert_int_equal(put_document(c, 1, "b", 5000), 0);
    assert_true(fg_cache_drop_document(c, &a));
    assert_true(fg_cache_drop_document(c, &b)); /* which may not be written yet */
    assert_false(fg_cache_drop_document(c, &a));
    assert_int_equal(get(c, 1, "a", 5000), FG_ENOTFOUND);
    assert_int_equal(get(c, 1, "b", 5000), FG_ENOTFOUND);
    fg_cache_flush(c);
    assert_int_equal(stats(c).documents, 1);
    assert_int_equal(stats(c).dropped_corrupt + stats(c).evicted, 0);
    fg_cache_close(c);
    c = open_at(dir, 8 * MIB);
    assert_int_equal(get(c, 1, "a", 5000), FG_ENOTFOUND);
    assert_int_equal(get(c, 1, "b", 5000), FG_ENOTFOUND);
    assert_int_equal(get(c, 2, "a", 5000), 0);
    assert_true(fg_cache_drop_document(c, &other));
    fg_cache_close(c);
    dir_remove(dir);
}

static bool in_file(const char *dir, const char *name, size_t n)
{
    char *text = text_of(name, n);
    bool found = find_in_file(dir, text + n / 2, 200, false) > 0;

    free(text);
    return found;
}

static int forget_part(struct fg_cache *c, const struct chain *ch, const struct fg_key *key,
                       const uint8_t tenant[16], struct fg_cache_forgotten *out)
{
    struct fg_cache_part part = {
        .roots = &ch->root, .n_roots = 1, .key = key, .tenant = tenant, .before = false};
    struct fg_err err;

    return fg_cache_forget(c, &part, out, &err);
}

static void test_forget_all(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = open_at(dir, 8 * MIB);
    struct chain *ch = chain_make(1, 0, 4);
    const struct fg_cache_document mine = doc(1, "a");
    struct fg_cache_forgotten out;
    (void)state;

    put_blocks(c, ch, 0, 4, 1000);
    assert_int_equal(put_on(c, 1, "mine", 5000, &ch->keys[3]), 0);
    assert_int_equal(put_on(c, 1, "as well", 5000, &ch->root), 0);
    assert_int_equal(put_on(c, 2, "theirs", 5000, &ch->keys[3]), 0);
    assert_int_equal(forget_part(c, ch, NULL, mine.tenant, &out), 0);
    assert_int_equal(out.blocks, 4);
    assert_int_equal(out.documents, 2);
    assert_int_equal(out.bytes, 4 * 1000 + 2 * 5000);
    assert_int_equal(get(c, 1, "mine", 5000), FG_ENOTFOUND);
    assert_int_equal(get(c, 2, "theirs", 5000), 0);
    fg_cache_close(c);
    assert_false(in_file(dir, "mine", 5000));
    assert_false(in_file(dir, "as well", 5000));
    assert_true(in_file(dir, "theirs", 5000));
    free(ch);
    dir_remove(dir);
}

/* What hangs elsewhere stays; what hangs on something that is not there any more goes. */
static void test_forget_a_part(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = open_at(dir, 8 * MIB);
    struct chain *a = chain_make(1, 2, 4), *b = chain_make(2, 2, 4), *gone = chain_make(3, 0, 4);
    const struct fg_cache_document mine = doc(1, "a");
    struct fg_cache_forgotten out;
    (void)state;

    put_blocks(c, a, 0, 4, 1000);
    put_blocks(c, b, 2, 4, 1000);
    assert_int_equal(put_on(c, 1, "below", 5000, &a->keys[3]), 0);
    assert_int_equal(put_on(c, 1, "at it", 5000, &a->keys[2]), 0);
    assert_int_equal(put_on(c, 1, "before", 5000, &a->keys[1]), 0);
    assert_int_equal(put_on(c, 1, "beside", 5000, &b->keys[3]), 0);
    assert_int_equal(put_on(c, 1, "on the root", 5000, &a->root), 0);
    assert_int_equal(put_on(c, 1, "nowhere", 5000, &gone->keys[3]), 0);
    assert_int_equal(put_on(c, 2, "theirs", 5000, &gone->keys[3]), 0);
    fg_cache_close(c);
    c = open_at(dir, 8 * MIB);
    assert_int_equal(forget_part(c, a, &a->keys[2], mine.tenant, &out), 0);
    assert_int_equal(out.blocks, 2);
    assert_int_equal(out.documents, 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get(c, 1, "below", 5000), FG_ENOTFOUND);
        assert_int_equal(get(c, 1, "at it", 5000), FG_ENOTFOUND);
        assert_int_equal(get(c, 1, "nowhere", 5000), FG_ENOTFOUND);
        assert_int_equal(get(c, 1, "before", 5000), 0);
        assert_int_equal(get(c, 1, "beside", 5000), 0);
        assert_int_equal(get(c, 1, "on the root", 5000), 0);
        assert_int_equal(get(c, 2, "theirs", 5000), 0);
        fg_cache_close(c);
        c = open_at(dir, 8 * MIB);
    }
    fg_cache_close(c);
    free(a);
    free(b);
    free(gone);
    dir_remove(dir);
}

/* Blocks go before documents, and of these the one that was used last; the file keeps its budget.
 */
static void test_eviction(void **state)
{
    char *dir = dir_make(), name[32];
    struct fg_cache *c = open_at(dir, 4 * MIB);
    struct fg_cache_document used = doc(1, "used");
    (void)state;

    assert_int_equal(put_document(c, 1, "used", 20000), 0);
    for (uint64_t i = 0; i < 400; i++) {
        struct chain *ch = chain_make(i, 0, 1);
        struct fg_cache_put p = {.parent = &ch->root, .seconds = 0.01};

        assert_int_equal(put(c, ch, 0, 20000, &p), 0);
        fg_cache_flush(c);
        free(ch);
    }
    assert_true(stats(c).evicted > 100);
    assert_int_equal(get(c, 1, "used", 20000), 0);
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "call/%d", i);
        assert_int_equal(put_document(c, 1, name, 20000), 0);
        if (i % 10 == 0)
            fg_cache_touch_document(c, &used);
        fg_cache_flush(c);
    }
    assert_int_equal(stats(c).blocks, 0);
    assert_true(stats(c).documents > 100 && stats(c).documents < 200);
    assert_true(stats(c).file_bytes <= 4 * MIB + 4 * MIB / 8 + (64 << 12));
    assert_int_equal(get(c, 1, "call/399", 20000), 0);
    assert_int_equal(get(c, 1, "call/0", 20000), FG_ENOTFOUND);
    assert_int_equal(get(c, 1, "used", 20000), 0);
    fg_cache_close(c);
    dir_remove(dir);
}

static void test_compaction_takes_them_along(void **state)
{
    char *dir = dir_make();
    struct fg_cache *c = open_at(dir, 8 * MIB);
    uint64_t before, after;
    struct fg_err err;
    (void)state;

    assert_int_equal(put_document(c, 1, "a", 5000), 0);
    fg_cache_flush(c);
    assert_int_equal(fg_cache_compact(c, &before, &after, &err), 0);
    assert_int_equal(get(c, 1, "a", 5000), 0);
    fg_cache_close(c);
    c = open_at(dir, 8 * MIB);
    assert_int_equal(get(c, 1, "a", 5000), 0);
    fg_cache_close(c);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_again),
        cmocka_unit_test(test_survives_kill),
        cmocka_unit_test(test_damaged_is_a_miss),
        cmocka_unit_test(test_other_name_under_the_key),
        cmocka_unit_test(test_lives_for_thirty_days),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_forget_all),
        cmocka_unit_test(test_forget_a_part),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_compaction_takes_them_along),
    };

    return cmocka_run_group_tests_name("document", tests, NULL, NULL);
}
