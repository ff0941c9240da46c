/* Packs: written and read back; every flipped byte, every length and hostile sizes are refused. */
#include "util.h"

#include "cache/pack.h"
#include "cache/record.h"

enum { BLOCK = 100, STATE = 333, N = 4 };

struct pack {
    uint8_t *p;
    size_t n;
};

static struct fg_pack_head head_of(void)
{
    struct fg_pack_head h = {
        .n_blocks = N, .n_states = 2, .block_bytes = BLOCK, .state_bytes = STATE, .name = "tiny"};

    memset(h.model, 1, 16);
    memset(h.tokenizer, 2, 16);
    memset(h.numerics, 3, 16);
    return h;
}

static void add(struct pack *k, const struct chain *ch, uint32_t i, bool is_state)
{
    size_t n = is_state ? STATE : BLOCK;
    uint8_t *payload = payload_make(&ch->keys[i], is_state, n);
    struct fg_pack_record r = {.is_state = is_state, .index = i, .payload = payload};

    memcpy(r.tokens, chain_tokens(ch, i), sizeof r.tokens);
    fg_pack_record_encode(k->p, &r, n, k->p + k->n);
    memcpy(k->p + k->n + FG_PACK_RECORD_BYTES, payload, n);
    k->n += FG_PACK_RECORD_BYTES + n;
    free(payload);
}

static struct pack make(const struct chain *ch)
{
    struct fg_pack_head h = head_of();
    struct pack k = {malloc(fg_pack_bytes(&h)), FG_PACK_HEAD_BYTES};

    fg_pack_head_encode(&h, k.p);
    for (uint32_t i = 0; i < N; i++) {
        add(&k, ch, i, false);
        if (i == 1 || i == N - 1)
            add(&k, ch, i, true);
    }
    assert_int_equal(k.n, fg_pack_bytes(&h));
    return k;
}

/* 0, or what refused it. */
static int read_all(const uint8_t *p, size_t n, struct fg_err *err)
{
    struct fg_pack_reader r;
    struct fg_pack_record rec;
    int rc = fg_pack_reader_init(&r, p, n, err);

    if (!rc)
        while ((rc = fg_pack_next(&r, &rec, err)) == 1)
            ;
    return rc;
}

static void test_round_trip(void **state)
{
    struct chain *ch = chain_make(1, 0, N);
    struct pack k = make(ch);
    struct fg_pack_reader r;
    struct fg_pack_record rec;
    struct fg_err err;
    uint32_t blocks = 0, states = 0;
    (void)state;

    assert_int_equal(fg_pack_reader_init(&r, k.p, k.n, &err), 0);
    assert_string_equal(r.head.name, "tiny");
    while (fg_pack_next(&r, &rec, &err) == 1) {
        assert_memory_equal(rec.tokens, chain_tokens(ch, rec.index), sizeof rec.tokens);
        assert_true(payload_is(&ch->keys[rec.index], rec.is_state, rec.payload,
                               rec.is_state ? STATE : BLOCK));
        blocks += !rec.is_state;
        states += rec.is_state;
    }
    assert_int_equal(blocks, N);
    assert_int_equal(states, 2);
    assert_int_equal(r.at, k.n);
    free(k.p);
    free(ch);
}

static void test_damage(void **state)
{
    struct chain *ch = chain_make(1, 0, N);
    struct pack k = make(ch);
    uint8_t *more = calloc(1, k.n + 1);
    struct fg_err err;
    (void)state;

    for (size_t i = 0; i < k.n; i++) {
        k.p[i] ^= 0x40;
        if (read_all(k.p, k.n, &err) >= 0)
            fail_msg("byte %zu was flipped, and nobody noticed", i);
        k.p[i] ^= 0x40;
    }
    for (size_t n = 0; n < k.n; n++) {
        uint8_t *cut = malloc(n ? n : 1); /* so that reading on would be noticed */

        memcpy(cut, k.p, n);
        assert_int_equal(read_all(cut, n, &err), FG_EFORMAT);
        free(cut);
    }
    memcpy(more, k.p, k.n);
    assert_int_equal(read_all(more, k.n + 1, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "too many"));
    free(more);
    assert_int_equal(read_all(k.p, k.n, &err), 0);
    /* Version 2: its name, before anything else is believed. */
    k.p[8] = 2;
    assert_int_equal(read_all(k.p, k.n, &err), FG_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "the pack has 2, this build reads and writes 1"));
    free(k.p);
    free(ch);
}

/* Right checksums on wrong claims. */
static void test_hostile(void **state)
{
    const struct {
        uint32_t blocks, states;
        uint64_t block_bytes, state_bytes;
    } claims[] = {
        {0, 0, BLOCK, STATE},
        {N, N + 1, BLOCK, STATE},
        {UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX},
        {N, 2, UINT64_MAX - 287, STATE},
        {1u << 31, 0, UINT64_C(1) << 33, 0},
        {N, 2, 0, STATE},
        {N, 2, BLOCK, 0},
        {N + 1, 2, BLOCK, STATE},
    };
    struct chain *ch = chain_make(1, 0, N);
    struct pack k = make(ch);
    uint8_t saved[FG_PACK_HEAD_BYTES];
    struct fg_pack_head h;
    struct fg_err err;
    (void)state;

    memcpy(saved, k.p, sizeof saved);
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        h = head_of();
        h.n_blocks = claims[i].blocks;
        h.n_states = claims[i].states;
        h.block_bytes = claims[i].block_bytes;
        h.state_bytes = claims[i].state_bytes;
        fg_pack_head_encode(&h, k.p);
        assert_int_equal(read_all(k.p, k.n, &err), FG_EFORMAT);
    }
    memcpy(k.p, saved, sizeof saved);
    /* The second block twice; a state in place of a block. */
    h = head_of();
    k.n = FG_PACK_HEAD_BYTES + FG_PACK_RECORD_BYTES + BLOCK;
    add(&k, ch, 0, false);
    k.n = fg_pack_bytes(&h);
    assert_int_equal(read_all(k.p, k.n, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "out of order"));
    free(k.p);
    free(ch);
}

static void test_match(void **state)
{
    struct fg_pack_head a = head_of(), b = head_of();
    struct fg_err err;
    (void)state;

    assert_int_equal(fg_pack_match(&a, &b, &err), 0);
    b.numerics[15] = 0xfe;
    assert_int_equal(fg_pack_match(&a, &b, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "numerics: the pack is for 0303030303"));
    assert_non_null(strstr(err.text, "this daemon has 030303030303030303030303030303fe"));
    b.model[0] = 9;
    assert_int_equal(fg_pack_match(&a, &b, &err), FG_EINVAL);
    assert_memory_equal(err.text, "model: ", 7);
    b = head_of();
    b.block_bytes = 200;
    assert_int_equal(fg_pack_match(&a, &b, &err), FG_EINVAL);
    assert_string_equal(err.text, "block bytes: the pack has 100, this daemon has 200");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
