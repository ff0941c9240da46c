/* The bytes of records: round trips, and that no flipped bit passes. */
#include "util.h"

#include "cache/record.h"

static void fill_record(struct fg_record *r, uint64_t bytes)
{
    memset(r, 0, sizeof *r);
    r->bytes = bytes;
    r->use = 0x0102030405060708u;
    r->index = 0xa0b0c0d0u;
    r->micros = 0x01f2e3d4u;
    r->uses = 200;
    r->boundary = 5;
    r->stamp = 0x1122334455667788u;
    for (int i = 0; i < 16; i++)
        r->parent.b[i] = (uint8_t)(i * 3);
    for (int i = 0; i < FG_BLOCK_TOKENS; i++)
        r->tokens[i] = i * 77777 - 1000;
}

static void test_meta_round_trip_and_flips(void **state)
{
    struct fg_key key = test_root();
    uint8_t buf[FG_META_BYTES];
    struct fg_record r, got;
    (void)state;

    fill_record(&r, 123456789012u);
    for (enum fg_kind k = 0; k < FG_KINDS; k++) {
        size_t n = FG_META_BYTES;

        fg_meta_encode(k, &key, &r, buf);
        assert_int_equal(fg_meta_decode(k, &key, buf, n, &got), 0);
        assert_int_equal(got.bytes, r.bytes);
        assert_int_equal(got.use, r.use);
        assert_int_equal(got.uses, r.uses);
        assert_int_equal(got.micros, r.micros);
        assert_int_equal(got.boundary, r.boundary);
        assert_int_equal(got.stamp, r.stamp);
        assert_int_equal(fg_meta_decode(!k, &key, buf, n, &got), FG_ECORRUPT);
        assert_int_equal(fg_meta_decode(k, &key, buf, n - 1, &got), FG_ECORRUPT);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            assert_int_equal(fg_meta_decode(k, &key, buf, n, &got), FG_ECORRUPT);
            buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        key.b[15] ^= 1; /* the right bytes under another key */
        assert_int_equal(fg_meta_decode(k, &key, buf, n, &got), FG_ECORRUPT);
        key.b[15] ^= 1;
    }
    fg_meta_encode(FG_KIND_BLOCK, &key, &r, buf);
    assert_int_equal(fg_meta_decode(FG_KIND_BLOCK, &key, buf, FG_META_BYTES, &got), 0);
    assert_int_equal(got.index, r.index);
    assert_memory_equal(got.parent.b, r.parent.b, 16);
    assert_memory_equal(got.tokens, r.tokens, sizeof r.tokens);
}

static void test_value_sizes(void **state)
{
    (void)state;

    /* Small values fill one page but for LMDB's header of it, so that none shares a leaf. */
    assert_int_equal(fg_value_bytes(1, 4096), 4080);
    assert_int_equal(fg_value_bytes(4080 - 112, 4096), 4080);
    assert_int_equal(fg_value_bytes(4080 - 111, 4096), 4081);
    assert_int_equal(fg_value_bytes(1, 32768), 32752);
    /* A whole piece fills 1024 pages of 4096 bytes, LMDB's header of the first among them. */
    assert_int_equal(fg_value_bytes(FG_RECORD_PIECE, 4096) + 16, 4 << 20);
    assert_int_equal(fg_record_pieces(1), 1);
    assert_int_equal(fg_record_pieces(FG_RECORD_PIECE), 1);
    assert_int_equal(fg_record_pieces(FG_RECORD_PIECE + 1), 2);
    assert_int_equal(fg_record_pieces(280ull << 20), 71);
}

static bool verifies(const struct fg_record_piece *p, const uint8_t *value, size_t n,
                     struct fg_blob *into)
{
    int rc = fg_piece_decode(p, value, n, into, 0);

    assert_true(rc == 0 || rc == FG_ECORRUPT);
    return rc == 0;
}

/* Piece `number` of a payload; `number` of them go before it. */
static void check_value(enum fg_kind kind, uint32_t number, size_t bytes)
{
    struct fg_key key = test_root();
    size_t all = (size_t)number * FG_RECORD_PIECE + bytes, n = fg_value_bytes(bytes, 4096);
    uint8_t *value = malloc(n), *payload = payload_make(&key, 0, all), *back = malloc(bytes);
    struct fg_blob *blob = fg_blob_copy_of(payload, all), *into = fg_blob_create(bytes);
    struct fg_record_piece p, other;
    struct fg_record r;

    assert_non_null(value);
    memset(value, 0xaa, n);
    fill_record(&r, all);
    p = fg_record_piece(kind, &key, &r, number);
    assert_int_equal(p.bytes, bytes);
    fg_piece_encode(&p, blob, all - bytes, value, n);
    assert_true(verifies(&p, value, n, into));
    fg_blob_read(into, 0, back, bytes);
    assert_memory_equal(back, payload + (all - bytes), bytes);
    for (size_t i = FG_HEAD_BYTES + bytes; i < n; i++)
        assert_int_equal(value[i], 0); /* no memory of the process leaks to the disk */

    for (int what = 0; what < 5; what++) { /* the right bytes as another piece */
        other = p;
        if (what == 0)
            other.kind = !kind;
        other.key.b[3] ^= what == 1;
        other.stamp += what == 2;
        other.number += what == 3;
        other.bytes -= what == 4;
        assert_false(verifies(&other, value, n, into));
    }
    assert_false(verifies(&p, value, FG_HEAD_BYTES + bytes - 1, into));
    for (size_t bit = 0; bit<8 * (FG_HEAD_BYTES + bytes); bit += bytes> 400 ? bytes / 50 : 1) {
        value[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(verifies(&p, value, n, into));
        value[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    fg_blob_unref(into);
    fg_blob_unref(blob);
    free(back);
    free(payload);
    free(value);
}

static void test_value_round_trip_and_flips(void **state)
{
    (void)state;

    check_value(FG_KIND_BLOCK, 0, 1);
    check_value(FG_KIND_STATE, 0, 240);
    check_value(FG_KIND_BLOCK, 0, 4096);
    check_value(FG_KIND_STATE, 1, 9999);
    check_value(FG_KIND_STATE, 1, FG_RECORD_PIECE); /* lies across two pieces of the blob */
}

static void test_format_and_clock(void **state)
{
    uint8_t f[FG_FORMAT_BYTES], k[FG_CLOCK_BYTES];
    uint32_t version = 0;
    uint64_t clock = 0;
    (void)state;

    fg_format_encode(7, f);
    assert_memory_equal(f, "fulgurkv\x07\0\0\0", 12);
    assert_int_equal(fg_format_decode(f, sizeof f, &version), 0);
    assert_int_equal(version, 7);
    f[9] ^= 4;
    assert_int_equal(fg_format_decode(f, sizeof f, &version), FG_ECORRUPT);
    fg_clock_encode(1ull << 40, k);
    assert_int_equal(fg_clock_decode(k, sizeof k, &clock), 0);
    assert_int_equal(clock, 1ull << 40);
    k[5] ^= 1;
    assert_int_equal(fg_clock_decode(k, sizeof k, &clock), FG_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_round_trip_and_flips),
        cmocka_unit_test(test_value_sizes),
        cmocka_unit_test(test_value_round_trip_and_flips),
        cmocka_unit_test(test_format_and_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
