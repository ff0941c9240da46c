/* The index against a naive model: who may go, who goes first, and that nothing leaks. */
#include "util.h"

#include "cache/index.h"

enum { KEYS = 60, OPS = 60000 };

struct model {
    bool stored[FG_KINDS][KEYS];
    uint64_t use[FG_KINDS][KEYS];
    int parent[KEYS];
};

static struct fg_key key_of(int i)
{
    struct fg_key k = {{(uint8_t)i, 1, 2, 3}};

    return k;
}

/* The oldest use among what may go, or UINT64_MAX. */
static uint64_t naive_oldest(const struct model *m)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < KEYS; i++) {
        bool leaf = m->stored[0][i] && !m->stored[1][i];

        for (int j = 0; leaf && j < KEYS; j++)
            leaf = !(m->stored[0][j] && m->parent[j] == i);
        if (leaf && m->use[0][i] < best)
            best = m->use[0][i];
        if (m->stored[1][i] && m->use[1][i] < best)
            best = m->use[1][i];
    }
    return best;
}

static void store(struct fg_index *ix, struct model *m, int i, enum fg_kind kind, uint64_t clock)
{
    struct fg_key k = key_of(i), pk = key_of(m->parent[i]);
    struct fg_entry *e = fg_index_get(ix, &k);

    assert_non_null(e);
    fg_index_store(ix, e, kind, 100 + (uint64_t)i);
    fg_index_use(ix, e, kind, clock);
    if (kind == FG_KIND_BLOCK && m->parent[i] >= 0)
        fg_index_link(ix, e, fg_index_get(ix, &pk));
    m->stored[kind][i] = true;
    m->use[kind][i] = clock;
}

static void remove_one(struct fg_index *ix, struct model *m, int i, enum fg_kind kind)
{
    struct fg_key k = key_of(i);
    struct fg_entry *e = fg_index_find(ix, &k);

    assert_non_null(e);
    fg_index_unstore(ix, e, kind);
    if (kind == FG_KIND_BLOCK)
        fg_index_unlink(ix, e);
    fg_index_release(ix, e);
    m->stored[kind][i] = false;
}

static void test_random_against_model(void **state)
{
    struct model m = {0};
    struct fg_index ix;
    uint64_t s = 42, clock = 0;
    (void)state;

    assert_int_equal(fg_index_init(&ix), 0);
    ix.by_use = true;
    for (int i = 0; i < KEYS; i++)
        m.parent[i] = i == 0 ? -1 : (int)(mix(&s) % (uint64_t)i);
    for (int op = 0; op < OPS; op++) {
        int i = (int)(mix(&s) % KEYS);
        enum fg_kind kind = mix(&s) % 2, k;
        struct fg_entry *e;

        switch (mix(&s) % 3) {
        case 0: store(&ix, &m, i, kind, ++clock); break;
        case 1:
            /* Anything may go this way, corrupt records do; eviction asks for the oldest. */
            if (m.stored[kind][i] && mix(&s) % 4 == 0)
                remove_one(&ix, &m, i, kind);
            break;
        case 2:
            e = fg_index_least(&ix, &k);
            if (e && mix(&s) % 2)
                remove_one(&ix, &m, e->key.b[0], k);
            break;
        }
        e = fg_index_least(&ix, &k);
        if ((e ? e->use[k] : UINT64_MAX) != naive_oldest(&m))
            fail_msg("op %d: the oldest is wrong", op);
    }
    for (int i = 0; i < KEYS; i++)
        for (enum fg_kind k = 0; k < FG_KINDS; k++)
            if (m.stored[k][i])
                remove_one(&ix, &m, i, k);
    assert_int_equal(ix.n_entries, 0);
    assert_int_equal(ix.heap_n, 0);
    assert_int_equal(ix.cost, 0);
    fg_index_finish(&ix);
}

static void test_many_entries(void **state)
{
    enum { N = 20000 };
    struct fg_index ix;
    struct fg_key k = {{0}};
    (void)state;

    assert_int_equal(fg_index_init(&ix), 0);
    ix.by_use = true;
    for (uint64_t i = 0; i < N; i++) {
        struct fg_entry *e;

        fg_store_u64(k.b, i * 0x9e3779b97f4a7c15u);
        e = fg_index_get(&ix, &k);
        assert_non_null(e);
        fg_index_use(&ix, e, FG_KIND_BLOCK, (i * 7919) % N);
        fg_index_store(&ix, e, FG_KIND_BLOCK, 1);
    }
    assert_int_equal(ix.n[FG_KIND_BLOCK], N);
    for (uint64_t i = 0; i < N; i++) {
        enum fg_kind kind;
        struct fg_entry *e = fg_index_least(&ix, &kind);

        assert_int_equal(e->use[kind], i);
        fg_index_unstore(&ix, e, kind);
        fg_index_release(&ix, e);
    }
    assert_int_equal(ix.n_entries, 0);
    fg_index_finish(&ix);
}

static void test_states_and_queued_children_hold_blocks(void **state)
{
    struct fg_index ix;
    struct fg_key a = key_of(1), b = key_of(2);
    struct fg_entry *ea, *eb;
    enum fg_kind k;
    (void)state;

    assert_int_equal(fg_index_init(&ix), 0);
    ea = fg_index_get(&ix, &a);
    fg_index_store(&ix, ea, FG_KIND_BLOCK, 10);
    assert_ptr_equal(fg_index_least(&ix, &k), ea);
    eb = fg_index_get(&ix, &b);
    fg_index_flag(&ix, eb, FG_KIND_BLOCK, FG_REC_QUEUED, 0);
    fg_index_link(&ix, eb, ea);
    assert_null(fg_index_least(&ix, &k)); /* a queued child holds its parent */
    fg_index_flag(&ix, eb, FG_KIND_BLOCK, 0, FG_REC_QUEUED);
    fg_index_unlink(&ix, eb);
    fg_index_release(&ix, eb);
    assert_ptr_equal(fg_index_least(&ix, &k), ea);
    fg_index_flag(&ix, ea, FG_KIND_STATE, FG_REC_QUEUED, 0);
    assert_null(fg_index_least(&ix, &k)); /* and so does a queued state */
    fg_index_flag(&ix, ea, FG_KIND_STATE, 0, FG_REC_QUEUED);
    fg_index_store(&ix, ea, FG_KIND_STATE, 10);
    assert_ptr_equal(fg_index_least(&ix, &k), ea);
    assert_int_equal(k, FG_KIND_STATE);
    fg_index_reset(&ix);
    assert_int_equal(ix.n_entries, 0);
    assert_int_equal(ix.cost, 0);
    fg_index_finish(&ix);
}

/* A chain of n blocks of a second each, with a state at its end. */
static void store_chain(struct fg_index *ix, int from, int n, enum fg_boundary at, uint64_t clock)
{
    struct fg_entry *e = NULL, *parent = NULL;

    for (int i = from; i < from + n; i++, parent = e) {
        struct fg_key k = key_of(i);

        e = fg_index_get(ix, &k);
        assert_non_null(e);
        fg_index_describe(ix, e, FG_KIND_BLOCK, FG_AT_BLOCK, 1);
        fg_index_use(ix, e, FG_KIND_BLOCK, clock);
        fg_index_store(ix, e, FG_KIND_BLOCK, 4000);
        if (parent)
            fg_index_link(ix, e, parent);
    }
    fg_index_describe(ix, e, FG_KIND_STATE, at, 0);
    fg_index_use(ix, e, FG_KIND_STATE, clock);
    fg_index_store(ix, e, FG_KIND_STATE, 100000);
}

static int evict_least(struct fg_index *ix, enum fg_kind *kind)
{
    struct fg_entry *e = fg_index_least(ix, kind);
    int i;

    assert_non_null(e);
    i = e->key.b[0];
    fg_index_evicted(ix, e, *kind);
    fg_index_unstore(ix, e, *kind);
    if (*kind == FG_KIND_BLOCK)
        fg_index_unlink(ix, e);
    fg_index_release(ix, e);
    return i;
}

/* The short prompt's state saves less; its blocks are of no use without it, however new. */
static void test_least_value_and_what_is_left_bare(void **state)
{
    struct fg_index ix;
    enum fg_kind k;
    (void)state;

    assert_int_equal(fg_index_init(&ix), 0);
    store_chain(&ix, 10, 20, FG_AT_PROMPT_END, 1);
    store_chain(&ix, 50, 3, FG_AT_PROMPT_END, 100);
    assert_int_equal(evict_least(&ix, &k), 52);
    assert_int_equal(k, FG_KIND_STATE);
    for (int i = 52; i >= 50; i--) {
        assert_int_equal(evict_least(&ix, &k), i);
        assert_int_equal(k, FG_KIND_BLOCK);
    }
    assert_int_equal(evict_least(&ix, &k), 29);
    assert_int_equal(k, FG_KIND_STATE);
    fg_index_finish(&ix);
}

/* Of two states on one way the second is worth the way from the first, until that one goes. */
static void test_states_on_one_way(void **state)
{
    struct fg_key a = key_of(14), b = key_of(19), c = key_of(51);
    struct fg_index ix;
    struct fg_entry *e;
    enum fg_kind k;
    (void)state;

    assert_int_equal(fg_index_init(&ix), 0);
    store_chain(&ix, 10, 10, FG_AT_PROMPT_END, 1);
    store_chain(&ix, 50, 2, FG_AT_PROMPT_END, 1);
    e = fg_index_find(&ix, &a);
    fg_index_describe(&ix, e, FG_KIND_STATE, FG_AT_PROMPT_END, 0);
    fg_index_use(&ix, e, FG_KIND_STATE, 1);
    fg_index_store(&ix, e, FG_KIND_STATE, 100000);
    e = fg_index_find(&ix, &b);
    fg_index_use(&ix, e, FG_KIND_STATE, 2); /* its value: of 5 blocks */
    fg_index_unstore(&ix, fg_index_find(&ix, &a), FG_KIND_STATE);
    assert_ptr_equal(fg_index_least(&ix, &k), fg_index_find(&ix, &c));
    assert_int_equal(evict_least(&ix, &k), 51);
    assert_int_equal(k, FG_KIND_STATE);
    assert_int_equal(evict_least(&ix, &k), 51);
    assert_int_equal(evict_least(&ix, &k), 50);
    assert_ptr_equal(fg_index_least(&ix, &k), e);
    assert_true(e->value[FG_KIND_STATE] >
                fg_policy_value(&ix.policy, FG_AT_PROMPT_END, 0, 9.9, 1 << 20, 0));
    fg_index_finish(&ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_model),
        cmocka_unit_test(test_many_entries),
        cmocka_unit_test(test_states_and_queued_children_hold_blocks),
        cmocka_unit_test(test_least_value_and_what_is_left_bare),
        cmocka_unit_test(test_states_on_one_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
