/* Holds: what a client asked for stays, for its time, within half of the budget. */
#include "util.h"

#include "cache/hold.h"

#define LARGE (1ull << 40)

static struct fg_key hold_key(int i)
{
    struct fg_key k = {{0}};

    k.b[0] = (uint8_t)i;
    return k;
}

static void add_block(struct fg_index *ix, int i, int parent)
{
    struct fg_key k = hold_key(i), before = hold_key(parent);
    struct fg_entry *e = fg_index_get(ix, &k);

    fg_index_describe(ix, e, FG_KIND_BLOCK, FG_AT_BLOCK, 1);
    fg_index_use(ix, e, FG_KIND_BLOCK, ++ix->clock);
    if (parent)
        fg_index_link(ix, e, fg_index_find(ix, &before));
    fg_index_store(ix, e, FG_KIND_BLOCK, 4000);
}

static void add_state(struct fg_index *ix, int i)
{
    struct fg_key k = hold_key(i);
    struct fg_entry *e = fg_index_find(ix, &k);

    fg_index_describe(ix, e, FG_KIND_STATE, FG_AT_HINT, 0);
    fg_index_use(ix, e, FG_KIND_STATE, ++ix->clock);
    fg_index_store(ix, e, FG_KIND_STATE, 100000);
}

static int evict(struct fg_index *ix)
{
    enum fg_kind kind;
    struct fg_entry *e = fg_index_least(ix, &kind);
    int i = e ? e->key.b[0] : -1;

    if (!e)
        return -1;
    fg_index_evicted(ix, e, kind);
    fg_index_unstore(ix, e, kind);
    if (kind == FG_KIND_BLOCK)
        fg_index_unlink(ix, e);
    fg_index_release(ix, e);
    return i;
}

/* Blocks 1 to 3 with a state, and 11 to 13, which are newer, with one. */
static void begin(struct fg_index *ix)
{
    assert_int_equal(fg_index_init(ix), 0);
    ix->now = 1000;
    ix->hold_bytes = LARGE;
    for (int i = 1; i <= 3; i++)
        add_block(ix, i, i - 1);
    add_state(ix, 3);
    for (int i = 11; i <= 13; i++)
        add_block(ix, i, i == 11 ? 0 : i - 1);
    add_state(ix, 13);
}

static void held_goes_last(void **state)
{
    struct fg_key k = hold_key(3);
    struct fg_index ix;

    (void)state;
    begin(&ix);
    assert_int_equal(evict(&ix), 3); /* without a hold */
    fg_index_finish(&ix);

    begin(&ix);
    fg_hold(&ix, &k, 1300);
    ix.now = 1299;
    for (int i = 0; i < 4; i++)
        assert_in_range(evict(&ix), 11, 13);
    /* What bytes cost now is what the others were worth. */
    assert_true(fg_policy_admits(&ix.policy, FG_AT_PROMPT_END, 1000, 1 << 20, ix.clock));
    assert_int_equal(evict(&ix), 3); /* nothing else is left */
    assert_int_equal(ix.held_pages, 0);
    assert_true(fg_policy_admits(&ix.policy, FG_AT_PROMPT_END, 1000, 1 << 20, ix.clock));
    fg_index_finish(&ix);
}

static void a_hold_ends(void **state)
{
    struct fg_key k = hold_key(3);
    struct fg_index ix;
    enum fg_kind kind;

    (void)state;
    begin(&ix);
    fg_hold(&ix, &k, 1300);
    fg_hold(&ix, &k, 1100); /* the longer one counts */
    ix.now = 1299;
    assert_int_equal(fg_index_least(&ix, &kind)->key.b[0], 13);
    ix.now = 1320;
    assert_int_equal(evict(&ix), 3);
    fg_index_finish(&ix);
}

/* It is told before the record is there. */
static void a_hold_waits_for_its_record(void **state)
{
    struct fg_key k = hold_key(23);
    struct fg_index ix;

    (void)state;
    begin(&ix);
    fg_hold(&ix, &k, 1300);
    assert_int_equal(ix.held_pages, 0);
    for (int i = 21; i <= 23; i++)
        add_block(&ix, i, i == 21 ? 0 : i - 1);
    add_state(&ix, 23);
    assert_true(ix.held_pages > 0);
    for (int i = 0; i < 8; i++)
        assert_in_range(evict(&ix), 1, 13);
    assert_int_equal(evict(&ix), 23);
    assert_int_equal(ix.n_wishes, 0);
    /* The oldest wish goes where there are too many. */
    for (int i = 0; i < FG_HOLD_WISHES + 5; i++) {
        struct fg_key many = {{(uint8_t)i, (uint8_t)(i >> 8), 7}};

        fg_hold(&ix, &many, 1300);
    }
    assert_int_equal(ix.n_wishes, FG_HOLD_WISHES);
    assert_int_equal(ix.wishes[0].key.b[0], 5);
    fg_index_finish(&ix);
}

static void holds_have_half_of_the_room(void **state)
{
    struct fg_key a = hold_key(3), b = hold_key(13);
    struct fg_index ix;

    (void)state;
    begin(&ix);
    ix.hold_bytes = 200000; /* one of the two */
    fg_hold(&ix, &a, 1300);
    fg_hold(&ix, &b, 1400);
    assert_true(fg_held(&ix, fg_index_find(&ix, &a)));
    assert_false(fg_held(&ix, fg_index_find(&ix, &b)));
    assert_true(ix.held_pages * 4096 <= ix.hold_bytes);
    assert_int_equal(evict(&ix), 13);
    ix.now = 1310; /* the first is over: there is room */
    add_state(&ix, 13);
    fg_hold(&ix, &b, 1400);
    assert_true(fg_held(&ix, fg_index_find(&ix, &b)));
    assert_false(fg_held(&ix, fg_index_find(&ix, &a)));
    fg_index_reset(&ix);
    assert_int_equal(ix.held_pages, 0);
    fg_index_finish(&ix);
}

/* A store with room for some prompts: whether the first of many is still there. */
static bool first_of_many_stays(bool held)
{
    enum { PROMPTS = 20, BLOCKS = 4, BYTES = 20000 };
    char *dir = dir_make();
    struct fg_cache *c = cache_open(dir, MIB);
    struct chain *first = chain_make(1, 0, BLOCKS);
    bool there;

    if (held) /* before it is put, as serving does */
        fg_cache_hold(c, &first->keys[BLOCKS - 1], 300);
    put_blocks(c, first, 0, BLOCKS, BYTES);
    assert_int_equal(put_state(c, first, BLOCKS - 1, BYTES), 0);
    fg_cache_flush(c);
    for (uint64_t i = 2; i < PROMPTS; i++) {
        struct chain *other = chain_make(i, 0, BLOCKS);

        put_blocks(c, other, 0, BLOCKS, BYTES);
        assert_int_equal(put_state(c, other, BLOCKS - 1, BYTES), 0);
        fg_cache_flush(c);
        free(other);
    }
    assert_true(stats(c).evicted > 0);
    there = find(c, first, BLOCKS, true) == BLOCKS;
    fg_cache_close(c);
    free(first);
    dir_remove(dir);
    return there;
}

static void in_a_store(void **state)
{
    (void)state;
    assert_false(first_of_many_stays(false));
    assert_true(first_of_many_stays(true));
}

static void what_a_client_asked_for_is_admitted(void **state)
{
    struct fg_policy p;

    (void)state;
    fg_policy_init(&p);
    fg_policy_evicted(&p, 100, 0); /* bytes are dear */
    assert_false(fg_policy_admits(&p, FG_AT_SYSTEM_END, 0.01, 1 << 28, 0));
    assert_true(fg_policy_admits(&p, FG_AT_HINT, 0.01, 1 << 28, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_goes_last),
        cmocka_unit_test(a_hold_ends),
        cmocka_unit_test(a_hold_waits_for_its_record),
        cmocka_unit_test(holds_have_half_of_the_room),
        cmocka_unit_test(in_a_store),
        cmocka_unit_test(what_a_client_asked_for_is_admitted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
