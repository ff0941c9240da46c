#include "record.h"

#include <string.h>
#include <xxhash.h>

#include "base/blob.h"
#include "fulgur/error.h"

/* Offsets: docs/disk-format.md. */
enum {
    BM_INDEX = 0,
    BM_MICROS = 4,
    BM_BYTES = 8,
    BM_USE = 16,
    BM_PARENT = 24,
    BM_TOKENS = 40,
    BM_USES = 296,
    BM_SUM = 304,

    SM_BYTES = 0,
    SM_USE = 8,
    SM_BOUNDARY = 16,
    SM_USES = 20,
    SM_SUM = 24,
    STATE_META_BYTES = 32,

    H_BYTES = 8,
    H_KEY = 16,
    H_PARENT = 32,
    H_INDEX = 48,
    H_TOKENS = 56,
    H_SUM = 352,
};
_Static_assert(BM_SUM + 8 == FG_META_MAX, "the checksum ends the meta record");
_Static_assert(H_SUM + 16 == FG_HEAD_BYTES, "the checksum ends the header");
_Static_assert((16 + FG_HEAD_BYTES) % 64 == 0, "payloads begin at a multiple of 64 bytes");

static const char value_magic[FG_KINDS][9] = {"FGKVBLK1", "FGSTATE1"};
static const char format_magic[9] = "fulgurkv";

uint32_t fg_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void fg_store_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

uint64_t fg_load_u64(const uint8_t *p)
{
    return (uint64_t)fg_load_u32(p) | (uint64_t)fg_load_u32(p + 4) << 32;
}

void fg_store_u64(uint8_t *p, uint64_t v)
{
    fg_store_u32(p, (uint32_t)v);
    fg_store_u32(p + 4, (uint32_t)(v >> 32));
}

static void load_tokens(const uint8_t *p, int32_t *tokens)
{
    for (size_t i = 0; i < FG_BLOCK_TOKENS; i++)
        tokens[i] = (int32_t)fg_load_u32(p + 4 * i);
}

static void store_tokens(uint8_t *p, const int32_t *tokens)
{
    for (size_t i = 0; i < FG_BLOCK_TOKENS; i++)
        fg_store_u32(p + 4 * i, (uint32_t)tokens[i]);
}

size_t fg_meta_bytes(enum fg_kind kind)
{
    return kind == FG_KIND_BLOCK ? FG_META_MAX : STATE_META_BYTES;
}

/* The key seeds the hash, so that a record under another key than its own does not verify. */
static uint64_t meta_sum(const struct fg_key *key, const uint8_t *p, size_t n)
{
    return XXH3_64bits_withSeed(p, n, XXH3_64bits(key->b, sizeof key->b));
}

void fg_meta_encode(enum fg_kind kind, const struct fg_key *key, const struct fg_record *r,
                    uint8_t *out)
{
    size_t n = fg_meta_bytes(kind);

    memset(out, 0, n);
    if (kind == FG_KIND_BLOCK) {
        fg_store_u32(out + BM_INDEX, r->index);
        fg_store_u32(out + BM_MICROS, r->micros);
        fg_store_u32(out + BM_USES, r->uses);
        fg_store_u64(out + BM_BYTES, r->bytes);
        fg_store_u64(out + BM_USE, r->use);
        memcpy(out + BM_PARENT, r->parent.b, sizeof r->parent.b);
        store_tokens(out + BM_TOKENS, r->tokens);
    } else {
        fg_store_u64(out + SM_BYTES, r->bytes);
        fg_store_u64(out + SM_USE, r->use);
        fg_store_u32(out + SM_BOUNDARY, r->boundary);
        fg_store_u32(out + SM_USES, r->uses);
    }
    fg_store_u64(out + n - 8, meta_sum(key, out, n - 8));
}

int fg_meta_decode(enum fg_kind kind, const struct fg_key *key, const void *p, size_t n,
                   struct fg_record *r)
{
    const uint8_t *b = p;

    if (n != fg_meta_bytes(kind) || fg_load_u64(b + n - 8) != meta_sum(key, b, n - 8))
        return FG_ECORRUPT;
    memset(r, 0, sizeof *r);
    if (kind == FG_KIND_BLOCK) {
        r->index = fg_load_u32(b + BM_INDEX);
        r->micros = fg_load_u32(b + BM_MICROS);
        r->uses = fg_load_u32(b + BM_USES);
        r->bytes = fg_load_u64(b + BM_BYTES);
        r->use = fg_load_u64(b + BM_USE);
        memcpy(r->parent.b, b + BM_PARENT, sizeof r->parent.b);
        load_tokens(b + BM_TOKENS, r->tokens);
    } else {
        r->bytes = fg_load_u64(b + SM_BYTES);
        r->use = fg_load_u64(b + SM_USE);
        r->boundary = fg_load_u32(b + SM_BOUNDARY);
        r->uses = fg_load_u32(b + SM_USES);
    }
    return 0;
}

uint64_t fg_value_bytes(uint64_t payload_bytes, uint32_t psize)
{
    uint64_t n = FG_HEAD_BYTES + payload_bytes;

    /* LMDB keeps in the leaf what takes less than half a page; this much fills one overflow page,
     * whose header takes 16 bytes. */
    return n < psize - 16 ? psize - 16 : n;
}

/* Header and payload under one checksum: the header's hash seeds the payload's. */
static void value_sum(const uint8_t *value, uint64_t payload_bytes, uint8_t out[16])
{
    XXH128_canonical_t c;

    XXH128_canonicalFromHash(
        &c, XXH3_128bits_withSeed(value + FG_HEAD_BYTES, payload_bytes, XXH3_64bits(value, H_SUM)));
    memcpy(out, c.digest, 16);
}

void fg_value_encode(enum fg_kind kind, const struct fg_key *key, const struct fg_record *r,
                     const struct fg_blob *payload, uint8_t *out, size_t out_bytes)
{
    memset(out, 0, FG_HEAD_BYTES);
    memcpy(out, value_magic[kind], 8);
    fg_store_u64(out + H_BYTES, r->bytes);
    memcpy(out + H_KEY, key->b, sizeof key->b);
    memcpy(out + H_PARENT, r->parent.b, sizeof r->parent.b);
    fg_store_u32(out + H_INDEX, r->index);
    store_tokens(out + H_TOKENS, r->tokens);
    fg_blob_read(payload, 0, out + FG_HEAD_BYTES, r->bytes);
    memset(out + FG_HEAD_BYTES + r->bytes, 0, out_bytes - FG_HEAD_BYTES - r->bytes);
    value_sum(out, r->bytes, out + H_SUM);
}

int fg_value_decode(enum fg_kind kind, const struct fg_key *key, const void *value, size_t n,
                    uint32_t psize, struct fg_record *r, const void **payload)
{
    const uint8_t *b = value;
    uint8_t sum[16];

    if (n < FG_HEAD_BYTES || memcmp(b, value_magic[kind], 8) != 0)
        return FG_ECORRUPT;
    memset(r, 0, sizeof *r);
    r->bytes = fg_load_u64(b + H_BYTES);
    if (r->bytes > n - FG_HEAD_BYTES || fg_value_bytes(r->bytes, psize) != n ||
        memcmp(b + H_KEY, key->b, sizeof key->b) != 0)
        return FG_ECORRUPT;
    value_sum(b, r->bytes, sum);
    if (memcmp(sum, b + H_SUM, sizeof sum) != 0)
        return FG_ECORRUPT;
    r->index = fg_load_u32(b + H_INDEX);
    memcpy(r->parent.b, b + H_PARENT, sizeof r->parent.b);
    load_tokens(b + H_TOKENS, r->tokens);
    *payload = b + FG_HEAD_BYTES;
    return 0;
}

void fg_format_encode(uint32_t version, uint8_t out[FG_FORMAT_BYTES])
{
    memset(out, 0, FG_FORMAT_BYTES);
    memcpy(out, format_magic, 8);
    fg_store_u32(out + 8, version);
    fg_store_u64(out + 16, XXH3_64bits(out, 16));
}

int fg_format_decode(const void *p, size_t n, uint32_t *version)
{
    const uint8_t *b = p;

    if (n != FG_FORMAT_BYTES || memcmp(b, format_magic, 8) != 0 ||
        fg_load_u64(b + 16) != XXH3_64bits(b, 16))
        return FG_ECORRUPT;
    *version = fg_load_u32(b + 8);
    return 0;
}

void fg_clock_encode(uint64_t clock, uint8_t out[FG_CLOCK_BYTES])
{
    fg_store_u64(out, clock);
    fg_store_u64(out + 8, XXH3_64bits(out, 8));
}

int fg_clock_decode(const void *p, size_t n, uint64_t *clock)
{
    const uint8_t *b = p;

    if (n != FG_CLOCK_BYTES || fg_load_u64(b + 8) != XXH3_64bits(b, 8))
        return FG_ECORRUPT;
    *clock = fg_load_u64(b);
    return 0;
}
