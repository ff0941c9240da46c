/* The bytes of a stored record (docs/disk-format.md): a small meta record, rewritten when it is
 * used, and its payload in pieces, values of at most 4 MiB, written once. Pure functions, any
 * thread. */
#ifndef FG_CACHE_RECORD_H
#define FG_CACHE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"

struct fg_blob;

enum fg_kind { FG_KIND_BLOCK, FG_KIND_STATE, FG_KIND_DOCUMENT, FG_KINDS };

/* For the log and errors. */
const char *fg_kind_name(enum fg_kind kind);

enum {
    FG_META_BYTES = 320, /* of a meta record */
    FG_HEAD_BYTES = 112, /* before a piece's bytes; LMDB's page header of 16 makes it 128 */
    FG_RECORD_PIECE =
        (4 << 20) - 16 - FG_HEAD_BYTES, /* of the payload, in each piece but the last */
    FG_PIECE_KEY_BYTES = 20,
    FG_FORMAT_VERSION = 5,
    FG_FORMAT_BYTES = 24,
    FG_CLOCK_BYTES = 16,
};

/* What a meta record holds. A state has no index, parent and micros, a block no boundary, a
 * document neither micros nor boundary: zeros. */
struct fg_record {
    uint64_t bytes;    /* of the payload */
    uint64_t use;      /* logical clock of the last use */
    uint64_t stamp;    /* of the put: its pieces have the same, no other put has it */
    uint32_t uses;     /* how often it served, 255 at most */
    uint32_t micros;   /* of prefill, to compute the block */
    uint32_t boundary; /* enum fg_boundary: what the state marks */
    uint32_t index;    /* of a document: seconds since 1970 when it was put */
    /* Of a document: the last whole block of what it was said on, or its root. */
    struct fg_key parent;
    /* The block's; of a state: of the block at whose end it is; of a document: whose it is, and its
     * name (document.h). */
    int32_t tokens[FG_BLOCK_TOKENS];
};

/* A piece of a record: what its header says. */
struct fg_record_piece {
    enum fg_kind kind;
    struct fg_key key; /* the record's */
    uint64_t stamp;
    uint32_t number;
    uint32_t bytes; /* of the payload */
};

/* Little-endian. */
uint32_t fg_load_u32(const uint8_t *p);
void fg_store_u32(uint8_t *p, uint32_t v);
uint64_t fg_load_u64(const uint8_t *p);
void fg_store_u64(uint8_t *p, uint64_t v);

void fg_meta_encode(enum fg_kind kind, const struct fg_key *key, const struct fg_record *r,
                    uint8_t out[FG_META_BYTES]);
/* 0, or FG_ECORRUPT: wrong size or checksum. */
int fg_meta_decode(enum fg_kind kind, const struct fg_key *key, const void *p, size_t n,
                   struct fg_record *r);

/* The pieces that a payload of so many bytes, 1 or more, takes; and piece `number` of a record. */
uint32_t fg_record_pieces(uint64_t bytes);
struct fg_record_piece fg_record_piece(enum fg_kind kind, const struct fg_key *key,
                                       const struct fg_record *r, uint32_t number);
/* The key of a piece's value: the record's, then the number, big-endian: they lie in order. */
void fg_piece_key(const struct fg_key *key, uint32_t number, uint8_t out[FG_PIECE_KEY_BYTES]);
/* Bytes of the value of a piece: header and payload, padded so that LMDB gives every value pages of
 * its own, whatever its size. psize: LMDB's page size. */
uint64_t fg_value_bytes(uint64_t piece_bytes, uint32_t psize);
/* Fills a value of fg_value_bytes() bytes with the blob's bytes [at, at + p->bytes). */
void fg_piece_encode(const struct fg_record_piece *p, const struct fg_blob *blob, uint64_t at,
                     uint8_t *out, size_t out_bytes);
/* Copies the payload of a value of n bytes to the blob's [at, at + p->bytes), and verifies the
 * copy: the value may change meanwhile. 0, FG_ECORRUPT, FG_ENOMEM; the blob's bytes are undefined
 * then. */
int fg_piece_decode(const struct fg_record_piece *p, const void *value, size_t n,
                    struct fg_blob *blob, uint64_t at);

void fg_format_encode(uint32_t version, uint8_t out[FG_FORMAT_BYTES]);
/* 0 or FG_ECORRUPT. The layout of this record is the same in every version. */
int fg_format_decode(const void *p, size_t n, uint32_t *version);
void fg_clock_encode(uint64_t clock, uint8_t out[FG_CLOCK_BYTES]);
int fg_clock_decode(const void *p, size_t n, uint64_t *clock);

#endif
