#include "pack.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

#include "base/hex.h"
#include "record.h"

/* Offsets: docs/pack-format.md. */
enum {
    P_VERSION = 8,
    P_BLOCKS = 12,
    P_STATES = 16,
    P_BLOCK_BYTES = 24,
    P_STATE_BYTES = 32,
    P_TOTAL = 40,
    P_MODEL = 48,
    P_TOKENIZER = 64,
    P_NUMERICS = 80,
    P_NAME = 96,
    P_SUM = 176,

    R_KIND = 0,
    R_INDEX = 4,
    R_BYTES = 8,
    R_TOKENS = 16,
    R_SUM = 272,
};
_Static_assert(P_NAME + FG_PACK_NAME <= P_SUM && P_SUM + 16 == FG_PACK_HEAD_BYTES, "head");
_Static_assert(R_TOKENS + 4 * FG_BLOCK_TOKENS == R_SUM, "record");
_Static_assert(R_SUM + 16 == FG_PACK_RECORD_BYTES, "record");

static const char magic[9] = "fulgurpk";
/* Sums of sizes below this cannot overflow. */
#define MAX_PAYLOAD ((uint64_t)1 << 32)

static void sum(const void *p, size_t n, uint64_t seed, uint8_t out[16])
{
    XXH128_canonical_t c;

    XXH128_canonicalFromHash(&c, XXH3_128bits_withSeed(p, n, seed));
    memcpy(out, c.digest, 16);
}

uint64_t fg_pack_bytes(const struct fg_pack_head *h)
{
    uint64_t end = h->version == FG_PACK_UNSIGNED ? 0 : FG_PACK_END_BYTES;

    return FG_PACK_HEAD_BYTES + h->n_blocks * (FG_PACK_RECORD_BYTES + h->block_bytes) +
           h->n_states * (FG_PACK_RECORD_BYTES + h->state_bytes) + end;
}

void fg_pack_head_encode(const struct fg_pack_head *h, uint8_t out[FG_PACK_HEAD_BYTES])
{
    memset(out, 0, FG_PACK_HEAD_BYTES);
    memcpy(out, magic, 8);
    fg_store_u32(out + P_VERSION, h->version);
    fg_store_u32(out + P_BLOCKS, h->n_blocks);
    fg_store_u32(out + P_STATES, h->n_states);
    fg_store_u64(out + P_BLOCK_BYTES, h->block_bytes);
    fg_store_u64(out + P_STATE_BYTES, h->state_bytes);
    fg_store_u64(out + P_TOTAL, fg_pack_bytes(h));
    memcpy(out + P_MODEL, h->model, 16);
    memcpy(out + P_TOKENIZER, h->tokenizer, 16);
    memcpy(out + P_NUMERICS, h->numerics, 16);
    memcpy(out + P_NAME, h->name, strnlen(h->name, FG_PACK_NAME));
    sum(out, P_SUM, 0, out + P_SUM);
}

static int check_sizes(const struct fg_pack_head *h, uint64_t total, size_t n, struct fg_err *err)
{
    if (h->n_blocks == 0 || h->n_states > h->n_blocks)
        return fg_fail(err, FG_EFORMAT, "the pack claims %" PRIu32 " blocks and %" PRIu32 " states",
                       h->n_blocks, h->n_states);
    if (h->block_bytes == 0 || h->block_bytes > MAX_PAYLOAD || h->state_bytes > MAX_PAYLOAD ||
        (h->n_states && h->state_bytes == 0) || h->n_blocks > UINT32_MAX / FG_BLOCK_TOKENS)
        return fg_fail(err, FG_EFORMAT, "the pack claims impossible sizes of its records");
    if (total != fg_pack_bytes(h))
        return fg_fail(err, FG_EFORMAT,
                       "the pack claims %" PRIu64 " bytes, its records would have %" PRIu64, total,
                       fg_pack_bytes(h));
    if (total > n)
        return fg_fail(err, FG_EFORMAT, "the pack is cut off: %zu bytes of %" PRIu64, n, total);
    if (total < n)
        return fg_fail(err, FG_EFORMAT, "%" PRIu64 " bytes too many behind the pack", n - total);
    return 0;
}

static int decode_head(const uint8_t *p, size_t n, struct fg_pack_head *h, struct fg_err *err)
{
    uint8_t check[16];

    memset(h, 0, sizeof *h);
    if (n < 8 || memcmp(p, magic, 8) != 0)
        return fg_fail(err, FG_EFORMAT, "this is not a pack of fulgur's");
    if (n < FG_PACK_HEAD_BYTES)
        return fg_fail(err, FG_EFORMAT, "the pack is cut off: %zu bytes, its head alone has %d", n,
                       FG_PACK_HEAD_BYTES);
    h->version = fg_load_u32(p + P_VERSION);
    if (h->version != FG_PACK_VERSION && h->version != FG_PACK_UNSIGNED)
        return fg_fail(err, FG_EUNSUPPORTED,
                       "format version: the pack has %" PRIu32 ", this build reads and writes %d",
                       h->version, FG_PACK_VERSION);
    sum(p, P_SUM, 0, check);
    if (memcmp(check, p + P_SUM, 16) != 0)
        return fg_fail(err, FG_EFORMAT, "the checksum of the pack's head does not hold");
    h->n_blocks = fg_load_u32(p + P_BLOCKS);
    h->n_states = fg_load_u32(p + P_STATES);
    h->block_bytes = fg_load_u64(p + P_BLOCK_BYTES);
    h->state_bytes = fg_load_u64(p + P_STATE_BYTES);
    memcpy(h->model, p + P_MODEL, 16);
    memcpy(h->tokenizer, p + P_TOKENIZER, 16);
    memcpy(h->numerics, p + P_NUMERICS, 16);
    memcpy(h->name, p + P_NAME, FG_PACK_NAME);
    return check_sizes(h, fg_load_u64(p + P_TOTAL), n, err);
}

int fg_pack_match(const struct fg_pack_head *pack, const struct fg_pack_head *here,
                  struct fg_err *err)
{
    const struct {
        const char *field;
        const uint8_t *a, *b;
    } ids[] = {{"tokenizer", pack->tokenizer, here->tokenizer},
               {"model", pack->model, here->model},
               {"numerics", pack->numerics, here->numerics}};
    const struct {
        const char *field;
        uint64_t a, b;
    } sizes[] = {{"block bytes", pack->block_bytes, here->block_bytes},
                 {"state bytes", pack->state_bytes, here->state_bytes}};
    char a[33], b[33];

    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (memcmp(ids[i].a, ids[i].b, 16) == 0)
            continue;
        fg_hex(ids[i].a, 16, a);
        fg_hex(ids[i].b, 16, b);
        return fg_fail(err, FG_EINVAL,
                       "%s: the pack is for %s (of \"%s\"), this daemon has %s (\"%s\")",
                       ids[i].field, a, pack->name, b, here->name);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].a != sizes[i].b)
            return fg_fail(err, FG_EINVAL, "%s: the pack has %" PRIu64 ", this daemon has %" PRIu64,
                           sizes[i].field, sizes[i].a, sizes[i].b);
    return 0;
}

/* Head and record seed the payload's hash: nothing of them can be exchanged for another's. */
static void record_sum(const uint8_t *head, const uint8_t *record, const void *payload,
                       uint64_t bytes, uint8_t out[16])
{
    uint64_t seed = XXH3_64bits_withSeed(record, R_SUM, XXH3_64bits(head, FG_PACK_HEAD_BYTES));

    sum(payload, bytes, seed, out);
}

void fg_pack_record_encode(const uint8_t head[FG_PACK_HEAD_BYTES], const struct fg_pack_record *r,
                           uint64_t payload_bytes, uint8_t out[FG_PACK_RECORD_BYTES])
{
    fg_store_u32(out + R_KIND, r->is_state ? 2 : 1);
    fg_store_u32(out + R_INDEX, r->index);
    fg_store_u64(out + R_BYTES, payload_bytes);
    for (int i = 0; i < FG_BLOCK_TOKENS; i++)
        fg_store_u32(out + R_TOKENS + 4 * i, (uint32_t)r->tokens[i]);
    record_sum(head, out, r->payload, payload_bytes, out + R_SUM);
}

/* --- the end --- */

void fg_pack_digest_init(struct fg_pack_digest *d)
{
    crypto_generichash_init(&d->state, NULL, 0, FG_PACK_DIGEST_BYTES);
}

void fg_pack_digest_add(struct fg_pack_digest *d, const void *bytes, size_t n)
{
    crypto_generichash_update(&d->state, bytes, n);
}

static void digest_end(struct fg_pack_digest *d, uint8_t out[FG_PACK_DIGEST_BYTES])
{
    crypto_generichash_final(&d->state, out, FG_PACK_DIGEST_BYTES);
}

int fg_pack_end_encode(struct fg_pack_digest *d, const struct fg_pack_key *key,
                       uint8_t out[FG_PACK_END_BYTES], struct fg_err *err)
{
    uint8_t digest[FG_PACK_DIGEST_BYTES];

    memcpy(out, key->public.b, FG_PACK_PUBLIC_BYTES);
    fg_pack_digest_add(d, out, FG_PACK_PUBLIC_BYTES);
    digest_end(d, digest);
    return fg_pack_sign(key, digest, out + FG_PACK_PUBLIC_BYTES, err);
}

/* --- reading --- */

int fg_pack_reader_init(struct fg_pack_reader *r, const void *p, size_t n, struct fg_err *err)
{
    int rc;

    *r = (struct fg_pack_reader){.p = p, .end = n, .at = FG_PACK_HEAD_BYTES};
    rc = decode_head(p, n, &r->head, err);
    if (rc)
        return rc;
    r->is_signed = r->head.version != FG_PACK_UNSIGNED;
    if (r->is_signed) {
        r->end = n - FG_PACK_END_BYTES;
        memcpy(r->signer.b, r->p + r->end, sizeof r->signer.b);
    }
    fg_pack_digest_init(&r->digest);
    fg_pack_digest_add(&r->digest, p, FG_PACK_HEAD_BYTES);
    return 0;
}

void fg_pack_rewind(struct fg_pack_reader *r)
{
    r->at = FG_PACK_HEAD_BYTES;
    r->blocks = r->states = 0;
    r->after_block = false;
}

static int bad(const struct fg_pack_reader *r, const char *what, struct fg_err *err)
{
    return fg_fail(err, FG_EFORMAT, "the pack's record at byte %zu %s", r->at, what);
}

/* Is that all there should be, and did the signer say so? */
static int check_end(struct fg_pack_reader *r, struct fg_err *err)
{
    uint8_t digest[FG_PACK_DIGEST_BYTES];
    char who[FG_PACK_PUBLIC_TEXT];

    if (r->blocks != r->head.n_blocks || r->states != r->head.n_states)
        return bad(r, "is missing", err);
    if (r->is_signed && !r->verified) {
        fg_pack_digest_add(&r->digest, r->signer.b, sizeof r->signer.b);
        digest_end(&r->digest, digest);
        fg_pack_public_text(&r->signer, who);
        if (!fg_pack_signed_by(&r->signer, digest, r->p + r->end + sizeof r->signer.b))
            return fg_fail(err, FG_EFORMAT,
                           "the pack's signature does not hold: it is not what %s signed", who);
    }
    r->verified = true;
    return 0;
}

int fg_pack_next(struct fg_pack_reader *r, struct fg_pack_record *out, struct fg_err *err)
{
    const uint8_t *p = r->p + r->at;
    uint64_t bytes;
    uint8_t check[16];
    uint32_t kind;

    if (r->at == r->end)
        return check_end(r, err);
    if (r->end - r->at < FG_PACK_RECORD_BYTES)
        return bad(r, "is cut off", err);
    kind = fg_load_u32(p + R_KIND);
    if (kind != 1 && kind != 2)
        return bad(r, "is neither a block nor a state", err);
    out->is_state = kind == 2;
    out->index = fg_load_u32(p + R_INDEX);
    bytes = out->is_state ? r->head.state_bytes : r->head.block_bytes;
    if (out->is_state ? !r->after_block || out->index != r->blocks - 1 : out->index != r->blocks)
        return bad(r, "is out of order", err);
    if (fg_load_u64(p + R_BYTES) != bytes || r->end - r->at - FG_PACK_RECORD_BYTES < bytes)
        return bad(r, "has another size than its head says", err);
    for (int i = 0; i < FG_BLOCK_TOKENS; i++)
        out->tokens[i] = (int32_t)fg_load_u32(p + R_TOKENS + 4 * i);
    out->payload = p + FG_PACK_RECORD_BYTES;
    if (!r->verified) {
        record_sum(r->p, p, out->payload, bytes, check);
        if (memcmp(check, p + R_SUM, 16) != 0)
            return bad(r, "does not match its checksum", err);
        fg_pack_digest_add(&r->digest, p, FG_PACK_RECORD_BYTES + bytes);
    }
    r->blocks += !out->is_state;
    r->states += out->is_state;
    r->after_block = !out->is_state;
    r->at += FG_PACK_RECORD_BYTES + bytes;
    return 1;
}
