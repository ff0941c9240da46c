/* Packs: written and read back; every flipped byte, every length, hostile sizes and everything that
 * their signer did not sign are refused. */
#include "util.h"

#include "cache/pack.h"
#include "cache/record.h"

enum { BLOCK = 100, STATE = 333, N = 4 };

struct pack {
    uint8_t *p;
    size_t n;
};

/* A key pair that follows from `seed`. */
static struct fg_pack_key key_of(int seed)
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    struct fg_pack_key key;

    memset(key.seed, seed, sizeof key.seed);
    assert_int_equal(crypto_sign_seed_keypair(key.public.b, secret, key.seed), 0);
    return key;
}

static struct fg_pack_head head_of(void)
{
    struct fg_pack_head h = {.version = FG_PACK_VERSION,
                             .n_blocks = N,
                             .n_states = 2,
                             .block_bytes = BLOCK,
                             .state_bytes = STATE,
                             .name = "tiny"};

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

static void sign(struct pack *k, const struct fg_pack_key *key)
{
    struct fg_pack_digest d;
    struct fg_err err;

    fg_pack_digest_init(&d);
    /* In pieces, as it is written. */
    for (size_t at = 0; at < k->n; at += 77)
        fg_pack_digest_add(&d, k->p + at, k->n - at < 77 ? k->n - at : 77);
    assert_int_equal(fg_pack_end_encode(&d, key, k->p + k->n, &err), 0);
    k->n += FG_PACK_END_BYTES;
}

/* What h says, of `ch`; without its end when h has that version. */
static struct pack make_as(const struct chain *ch, const struct fg_pack_head *h)
{
    struct pack k = {malloc(fg_pack_bytes(h)), FG_PACK_HEAD_BYTES};
    struct fg_pack_key key = key_of(1);

    fg_pack_head_encode(h, k.p);
    for (uint32_t i = 0; i < h->n_blocks; i++) {
        add(&k, ch, i, false);
        if (i == 1 || i == N - 1)
            add(&k, ch, i, true);
    }
    if (h->version != FG_PACK_UNSIGNED)
        sign(&k, &key);
    assert_int_equal(k.n, fg_pack_bytes(h));
    return k;
}

static struct pack make(const struct chain *ch)
{
    struct fg_pack_head h = head_of();

    return make_as(ch, &h);
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
    const struct fg_pack_key key = key_of(1);
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
    assert_int_equal(r.at, k.n - FG_PACK_END_BYTES);
    assert_true(r.is_signed);
    assert_memory_equal(&r.signer, &key.public, sizeof key.public);
    /* And again, for the one who stores it. */
    fg_pack_rewind(&r);
    for (blocks = 0; fg_pack_next(&r, &rec, &err) == 1; blocks += !rec.is_state)
        assert_memory_equal(rec.tokens, chain_tokens(ch, rec.index), sizeof rec.tokens);
    assert_int_equal(blocks, N);
    assert_int_equal(fg_pack_next(&r, &rec, &err), 0);
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
    /* Version 3: its name, before anything else is believed. */
    k.p[8] = 3;
    assert_int_equal(read_all(k.p, k.n, &err), FG_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "the pack has 3, this build reads and writes 2"));
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
    const struct fg_pack_key key = key_of(1);
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
    k.n = fg_pack_bytes(&h) - FG_PACK_END_BYTES;
    sign(&k, &key);
    assert_int_equal(read_all(k.p, k.n, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "out of order"));
    free(k.p);
    free(ch);
}

/* Every checksum made to fit again, as the format's description tells anybody to. */
static void fit_checksums(struct pack *k, const struct fg_pack_head *h)
{
    struct fg_pack_record rec = {0};
    size_t at = FG_PACK_HEAD_BYTES;

    fg_pack_head_encode(h, k->p);
    for (uint32_t i = 0; i < h->n_blocks + h->n_states; i++) {
        size_t size;

        rec.is_state = k->p[at] == 2;
        rec.index = fg_load_u32(k->p + at + 4);
        size = rec.is_state ? h->state_bytes : h->block_bytes;
        for (int t = 0; t < FG_BLOCK_TOKENS; t++)
            rec.tokens[t] = (int32_t)fg_load_u32(k->p + at + 16 + 4 * t);
        rec.payload = k->p + at + FG_PACK_RECORD_BYTES;
        fg_pack_record_encode(k->p, &rec, size, k->p + at);
        at += FG_PACK_RECORD_BYTES + size;
    }
}

static void assert_forged(const struct pack *k)
{
    struct fg_err err = {0};

    assert_int_equal(read_all(k->p, k->n, &err), FG_EFORMAT);
    if (!strstr(err.text, "signature does not hold: it is not what ed25519:"))
        fail_msg("refused by another name: %s", err.text);
}

/* Made by who can write, but cannot sign: every checksum holds, the signature does not. */
static void test_forged(void **state)
{
    struct chain *ch = chain_make(1, 2, N), *other = chain_make(2, 2, N);
    struct fg_pack_head h = head_of();
    struct pack k = make(ch), from = make(other);
    const size_t record = FG_PACK_RECORD_BYTES + BLOCK;
    struct fg_err err;
    (void)state;

    /* A payload's sign; a token; the model's identity. */
    k.p[FG_PACK_HEAD_BYTES + FG_PACK_RECORD_BYTES + 7] ^= 0x80;
    fit_checksums(&k, &h);
    assert_forged(&k);
    k.p[FG_PACK_HEAD_BYTES + FG_PACK_RECORD_BYTES + 7] ^= 0x80;
    k.p[FG_PACK_HEAD_BYTES + 16] ^= 1;
    fit_checksums(&k, &h);
    assert_forged(&k);
    k.p[FG_PACK_HEAD_BYTES + 16] ^= 1;
    h.model[0] ^= 1;
    fit_checksums(&k, &h);
    assert_forged(&k);
    h.model[0] ^= 1;
    fit_checksums(&k, &h);
    assert_int_equal(read_all(k.p, k.n, &err), 0); /* the same bytes as before */
    /* Another pack's record in place of one; the whole of it behind one's own head. */
    memcpy(k.p + FG_PACK_HEAD_BYTES + record, from.p + FG_PACK_HEAD_BYTES + record, record);
    assert_int_equal(read_all(k.p, k.n, &err), 0); /* blocks 0 and 1 are in both */
    memcpy(k.p + k.n - FG_PACK_END_BYTES - record - FG_PACK_RECORD_BYTES - STATE,
           from.p + k.n - FG_PACK_END_BYTES - record - FG_PACK_RECORD_BYTES - STATE, record);
    fit_checksums(&k, &h);
    assert_forged(&k);
    free(k.p);
    free(from.p);
    free(other);
    free(ch);
}

/* Ends that another made, or that were made for another. */
static void test_false_ends(void **state)
{
    struct chain *ch = chain_make(1, 0, N + 1), *other = chain_make(2, 2, N);
    const struct fg_pack_key key = key_of(2);
    uint8_t end[FG_PACK_END_BYTES];
    struct pack k, from = make(other);
    struct fg_pack_head h;
    (void)state;

    /* Another signer's name above the signature; another pack's end. */
    k = make(ch);
    memcpy(k.p + k.n - FG_PACK_END_BYTES, key.public.b, sizeof key.public.b);
    assert_forged(&k);
    memcpy(k.p + k.n - FG_PACK_END_BYTES, from.p + k.n - FG_PACK_END_BYTES, FG_PACK_END_BYTES);
    assert_forged(&k);
    /* All zeros, and the group's neutral element as the key: signatures that hold for anything. */
    memset(k.p + k.n - FG_PACK_END_BYTES, 0, FG_PACK_END_BYTES);
    assert_forged(&k);
    k.p[k.n - FG_PACK_END_BYTES] = 1;
    k.p[k.n - FG_PACK_SIGNATURE_BYTES] = 1;
    assert_forged(&k);
    free(k.p);
    /* A record more, and one less, with a head that counts it. */
    k = make(ch);
    memcpy(end, k.p + k.n - FG_PACK_END_BYTES, sizeof end);
    free(k.p);
    for (uint32_t blocks = N - 1; blocks <= N + 1; blocks += 2) {
        h = head_of();
        h.n_blocks = blocks;
        h.n_states = blocks < N ? 1 : 2;
        k = make_as(ch, &h);
        memcpy(k.p + k.n - FG_PACK_END_BYTES, end, sizeof end);
        assert_forged(&k);
        free(k.p);
    }
    free(from.p);
    free(other);
    free(ch);
}

/* The signature taken away. */
static void test_unsigned(void **state)
{
    struct chain *ch = chain_make(1, 0, N);
    struct fg_pack_head h = head_of();
    struct pack k = make(ch);
    struct fg_pack_reader r;
    struct fg_err err;
    (void)state;

    /* Cut off with its count of bytes: the version still says that there is one. */
    k.n -= FG_PACK_SIGNATURE_BYTES;
    assert_int_equal(read_all(k.p, k.n, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "cut off"));
    k.n -= FG_PACK_PUBLIC_BYTES;
    assert_int_equal(read_all(k.p, k.n, &err), FG_EFORMAT);
    /* The version before: whole, and said to be unsigned. */
    h.version = FG_PACK_UNSIGNED;
    fit_checksums(&k, &h);
    assert_int_equal(read_all(k.p, k.n, &err), 0);
    assert_int_equal(fg_pack_reader_init(&r, k.p, k.n, &err), 0);
    assert_false(r.is_signed);
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
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_hostile),    cmocka_unit_test(test_forged),
        cmocka_unit_test(test_false_ends), cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
