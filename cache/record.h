/* The bytes of a stored record (docs/disk-format.md): a small meta record, rewritten when it is
 * used, and a value of header and payload, written once. Pure functions, any thread. */
#ifndef FG_CACHE_RECORD_H
#define FG_CACHE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"

struct fg_blob;

enum fg_kind { FG_KIND_BLOCK, FG_KIND_STATE, FG_KINDS };

enum {
    FG_META_MAX = 312,   /* bytes of the longest meta record, that of a block */
    FG_HEAD_BYTES = 368, /* before the payload; LMDB's page header of 16 makes it 384 = 6 * 64 */
    FG_FORMAT_VERSION = 3,
    FG_FORMAT_BYTES = 24,
    FG_CLOCK_BYTES = 16,
};

/* What a meta record holds. A state has no index, parent, tokens and micros there, a block no
 * boundary: zeros. */
struct fg_record {
    uint64_t bytes;    /* of the payload */
    uint64_t use;      /* logical clock of the last use */
    uint32_t uses;     /* how often it served, 255 at most */
    uint32_t micros;   /* of prefill, to compute the block */
    uint32_t boundary; /* enum fg_boundary: what the state marks */
    uint32_t index;
    struct fg_key parent;
    int32_t tokens[FG_BLOCK_TOKENS];
};

/* Little-endian. */
uint32_t fg_load_u32(const uint8_t *p);
void fg_store_u32(uint8_t *p, uint32_t v);
uint64_t fg_load_u64(const uint8_t *p);
void fg_store_u64(uint8_t *p, uint64_t v);

size_t fg_meta_bytes(enum fg_kind kind);
void fg_meta_encode(enum fg_kind kind, const struct fg_key *key, const struct fg_record *r,
                    uint8_t *out);
/* 0, or FG_ECORRUPT: wrong size or checksum. */
int fg_meta_decode(enum fg_kind kind, const struct fg_key *key, const void *p, size_t n,
                   struct fg_record *r);

/* Bytes of the value of a payload: header + payload, padded so that LMDB gives every value pages of
 * its own, whatever its size: only there is the payload aligned. psize: LMDB's page size. */
uint64_t fg_value_bytes(uint64_t payload_bytes, uint32_t psize);
/* Fills a value of fg_value_bytes() bytes; r->tokens are the block's, for a state as well. */
void fg_value_encode(enum fg_kind kind, const struct fg_key *key, const struct fg_record *r,
                     const struct fg_blob *payload, uint8_t *out, size_t out_bytes);
/* Verifies `n` bytes and gives what they hold (`use` is left 0). 0 or FG_ECORRUPT. */
int fg_value_decode(enum fg_kind kind, const struct fg_key *key, const void *value, size_t n,
                    uint32_t psize, struct fg_record *r, const void **payload);

void fg_format_encode(uint32_t version, uint8_t out[FG_FORMAT_BYTES]);
/* 0 or FG_ECORRUPT. The layout of this record is the same in every version. */
int fg_format_decode(const void *p, size_t n, uint32_t *version);
void fg_clock_encode(uint64_t clock, uint8_t out[FG_CLOCK_BYTES]);
int fg_clock_decode(const void *p, size_t n, uint64_t *clock);

#endif
