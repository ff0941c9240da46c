#include "record.h"

#include <string.h>
#include <xxhash.h>

#include "base/blob.h"
#include "fulgur/error.h"

/* Offsets: docs/disk-format.md. */
enum {
    M_INDEX = 0,
    M_MICROS = 4,
    M_BYTES = 8,
    M_USE = 16,
    M_PARENT = 24,
    M_TOKENS = 40,
    M_USES = 296,
    M_BOUNDARY = 300,
    M_STAMP = 304,
    M_SUM = 312,

    H_KEY = 8,
    H_STAMP = 24,
    H_NUMBER = 32,
    H_BYTES = 36,
    H_SUM = 96,
};
_Static_assert(M_SUM + 8 == FG_META_BYTES, "the checksum ends the meta record");
_Static_assert(H_SUM + 16 == FG_HEAD_BYTES, "the checksum ends the header");
_Static_assert((16 + FG_HEAD_BYTES) % 64 == 0, "payloads begin at a multiple of 64 bytes");

static const char value_magic[FG_KINDS][9] = {"FGKVBLK4", "FGSTATE4", "FGDOCUM5"};
static const char format_magic[9] = "fulgurkv";

const char *fg_kind_name(enum fg_kind kind)
{
    static const char *const names[FG_KINDS] = {"block", "state", "document"};

    return names[kind];
}

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

/* Key and kind seed the hash, so that a record in another's place does not verify. */
static uint64_t meta_sum(enum fg_kind kind, const struct fg_key *key, const uint8_t *p)
{
    return XXH3_64bits_withSeed(p, M_SUM, XXH3_64bits(key->b, sizeof key->b) + (uint64_t)kind);
}

void fg_meta_encode(enum fg_kind kind, const struct fg_key *key, const struct fg_record *r,
                    uint8_t out[FG_META_BYTES])
{
    memset(out, 0, FG_META_BYTES);
    fg_store_u32(out + M_INDEX, r->index);
    fg_store_u32(out + M_MICROS, r->micros);
    fg_store_u64(out + M_BYTES, r->bytes);
    fg_store_u64(out + M_USE, r->use);
    memcpy(out + M_PARENT, r->parent.b, sizeof r->parent.b);
    store_tokens(out + M_TOKENS, r->tokens);
    fg_store_u32(out + M_USES, r->uses);
    fg_store_u32(out + M_BOUNDARY, r->boundary);
    fg_store_u64(out + M_STAMP, r->stamp);
    fg_store_u64(out + M_SUM, meta_sum(kind, key, out));
}

int fg_meta_decode(enum fg_kind kind, const struct fg_key *key, const void *p, size_t n,
                   struct fg_record *r)
{
    uint8_t b[FG_META_BYTES];

    if (n != sizeof b)
        return FG_ECORRUPT;
    memcpy(b, p, sizeof b); /* what is verified is what is used */
    if (fg_load_u64(b + M_SUM) != meta_sum(kind, key, b))
        return FG_ECORRUPT;
    memset(r, 0, sizeof *r);
    r->index = fg_load_u32(b + M_INDEX);
    r->micros = fg_load_u32(b + M_MICROS);
    r->bytes = fg_load_u64(b + M_BYTES);
    r->use = fg_load_u64(b + M_USE);
    memcpy(r->parent.b, b + M_PARENT, sizeof r->parent.b);
    load_tokens(b + M_TOKENS, r->tokens);
    r->uses = fg_load_u32(b + M_USES);
    r->boundary = fg_load_u32(b + M_BOUNDARY);
    r->stamp = fg_load_u64(b + M_STAMP);
    return 0;
}

uint32_t fg_record_pieces(uint64_t bytes)
{
    return (uint32_t)((bytes + FG_RECORD_PIECE - 1) / FG_RECORD_PIECE);
}

struct fg_record_piece fg_record_piece(enum fg_kind kind, const struct fg_key *key,
                                       const struct fg_record *r, uint32_t number)
{
    uint64_t left = r->bytes - (uint64_t)number * FG_RECORD_PIECE;

    return (struct fg_record_piece){
        .kind = kind,
        .key = *key,
        .stamp = r->stamp,
        .number = number,
        .bytes = left < FG_RECORD_PIECE ? (uint32_t)left : FG_RECORD_PIECE,
    };
}

void fg_piece_key(const struct fg_key *key, uint32_t number, uint8_t out[FG_PIECE_KEY_BYTES])
{
    memcpy(out, key->b, sizeof key->b);
    for (int i = 0; i < 4; i++)
        out[sizeof key->b + (size_t)i] = (uint8_t)(number >> (24 - 8 * i));
}

uint64_t fg_value_bytes(uint64_t piece_bytes, uint32_t psize)
{
    uint64_t n = FG_HEAD_BYTES + piece_bytes;

    /* LMDB keeps in the leaf what takes less than half a page; this much fills one overflow page,
     * whose header takes 16 bytes. */
    return n < psize - 16 ? psize - 16 : n;
}

static void encode_head(const struct fg_record_piece *p, uint8_t head[FG_HEAD_BYTES])
{
    memset(head, 0, FG_HEAD_BYTES);
    memcpy(head, value_magic[p->kind], 8);
    memcpy(head + H_KEY, p->key.b, sizeof p->key.b);
    fg_store_u64(head + H_STAMP, p->stamp);
    fg_store_u32(head + H_NUMBER, p->number);
    fg_store_u32(head + H_BYTES, p->bytes);
}

/* Header and payload under one checksum: the header's hash seeds the payload's. */
static uint64_t seed_of(const uint8_t *head)
{
    return XXH3_64bits(head, H_SUM);
}

static void store_sum(XXH128_hash_t sum, uint8_t out[16])
{
    XXH128_canonical_t c;

    XXH128_canonicalFromHash(&c, sum);
    memcpy(out, c.digest, 16);
}

/* The checksum of bytes that may lie across two pieces of a blob. 0 or FG_ENOMEM. */
static int sum_blob(uint64_t seed, const struct fg_blob *blob, uint64_t at, uint32_t bytes,
                    uint8_t out[16])
{
    XXH3_state_t *s = XXH3_createState();

    if (!s)
        return FG_ENOMEM;
    XXH3_128bits_reset_withSeed(s, seed);
    for (size_t n; bytes; at += n, bytes -= (uint32_t)n) {
        const void *p = fg_blob_at(blob, at, &n);

        n = n < bytes ? n : bytes;
        XXH3_128bits_update(s, p, n);
    }
    store_sum(XXH3_128bits_digest(s), out);
    XXH3_freeState(s);
    return 0;
}

void fg_piece_encode(const struct fg_record_piece *p, const struct fg_blob *blob, uint64_t at,
                     uint8_t *out, size_t out_bytes)
{
    uint8_t *payload = out + FG_HEAD_BYTES;

    encode_head(p, out);
    fg_blob_read(blob, at, payload, p->bytes);
    memset(payload + p->bytes, 0, out_bytes - FG_HEAD_BYTES - p->bytes);
    store_sum(XXH3_128bits_withSeed(payload, p->bytes, seed_of(out)), out + H_SUM);
}

int fg_piece_decode(const struct fg_record_piece *p, const void *value, size_t n,
                    struct fg_blob *blob, uint64_t at)
{
    uint8_t head[FG_HEAD_BYTES], want[FG_HEAD_BYTES];

    if (n < FG_HEAD_BYTES || p->bytes > n - FG_HEAD_BYTES)
        return FG_ECORRUPT;
    memcpy(head, value, sizeof head);
    encode_head(p, want);
    if (memcmp(head, want, H_SUM) != 0)
        return FG_ECORRUPT;
    fg_blob_write(blob, at, (const uint8_t *)value + FG_HEAD_BYTES, p->bytes);
    if (sum_blob(seed_of(head), blob, at, p->bytes, want + H_SUM))
        return FG_ENOMEM;
    return memcmp(head + H_SUM, want + H_SUM, 16) == 0 ? 0 : FG_ECORRUPT;
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
