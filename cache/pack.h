/* A pack: one stored prefix as a file, to be carried to another store (docs/pack-format.md). Pure
 * functions, any thread. The bytes of a pack are not trusted: every size is checked before use, and
 * what its signature covers is everything before it. */
#ifndef FG_CACHE_PACK_H
#define FG_CACHE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sodium.h>

#include "fulgur/error.h"
#include "key.h"
#include "pack_key.h"

enum {
    FG_PACK_UNSIGNED = 1, /* the version that has no end; written by nobody any more */
    FG_PACK_VERSION = 2,
    FG_PACK_HEAD_BYTES = 192,
    FG_PACK_RECORD_BYTES = 288, /* before each payload */
    FG_PACK_END_BYTES = FG_PACK_PUBLIC_BYTES + FG_PACK_SIGNATURE_BYTES,
    FG_PACK_NAME = 64,
};

/* What the pack says of itself. */
struct fg_pack_head {
    uint32_t version; /* FG_PACK_VERSION, or read from a pack FG_PACK_UNSIGNED */
    uint32_t n_blocks, n_states;
    uint64_t block_bytes, state_bytes; /* of a payload each */
    uint8_t model[16], tokenizer[16], numerics[16];
    char name[FG_PACK_NAME + 1]; /* of the model, for messages */
};

struct fg_pack_record {
    bool is_state; /* at the end of the block before it */
    uint32_t index;
    int32_t tokens[FG_BLOCK_TOKENS];
    const void *payload; /* into the pack; block_bytes or state_bytes */
};

uint64_t fg_pack_bytes(const struct fg_pack_head *h); /* of the whole pack */

void fg_pack_head_encode(const struct fg_pack_head *h, uint8_t out[FG_PACK_HEAD_BYTES]);
/* Would the pack's payloads be right here? FG_EINVAL: names the first field that differs, and both
 * values. */
int fg_pack_match(const struct fg_pack_head *pack, const struct fg_pack_head *here,
                  struct fg_err *err);

/* What stands before a record's payload, of which `head` are the pack's first bytes. */
void fg_pack_record_encode(const uint8_t head[FG_PACK_HEAD_BYTES], const struct fg_pack_record *r,
                           uint64_t payload_bytes, uint8_t out[FG_PACK_RECORD_BYTES]);

/* The digest of a pack's bytes as they are written. */
struct fg_pack_digest {
    crypto_generichash_state state;
};
void fg_pack_digest_init(struct fg_pack_digest *d);
void fg_pack_digest_add(struct fg_pack_digest *d, const void *bytes, size_t n);
/* The pack's last bytes, when all those before them were added: who signs, and the signature.
 * FG_EUNSUPPORTED. */
int fg_pack_end_encode(struct fg_pack_digest *d, const struct fg_pack_key *key,
                       uint8_t out[FG_PACK_END_BYTES], struct fg_err *err);

/* Goes through the records: blocks ascend from 0, each may be followed by its state. Nothing of
 * them is to be believed before fg_pack_next() has said that the pack is over: then its signature
 * held. */
struct fg_pack_reader {
    const uint8_t *p;
    size_t end, at; /* of the records */
    struct fg_pack_head head;
    bool is_signed;               /* else of a version that had no signature */
    struct fg_pack_public signer; /* who is said to have signed it */
    uint32_t blocks, states;      /* seen */
    bool after_block;             /* a state may follow */
    bool verified;                /* its end was reached before */
    struct fg_pack_digest digest;
};
/* Checks the head; the pack's n bytes at p must outlive the reader. FG_EFORMAT: not a pack, cut
 * off, its checksum does not hold, or sizes that contradict each other or n; FG_EUNSUPPORTED:
 * another version, both are named. */
int fg_pack_reader_init(struct fg_pack_reader *r, const void *p, size_t n, struct fg_err *err);
/* 1: *out is the next record, whose checksum holds; 0: the pack is over and whole, and signed by
 * `signer` when it is signed; FG_EFORMAT: what is wrong, and where. */
int fg_pack_next(struct fg_pack_reader *r, struct fg_pack_record *out, struct fg_err *err);
/* Back to the first record, when fg_pack_next() has returned 0; what was verified is not verified
 * again, so the bytes must not have changed. */
void fg_pack_rewind(struct fg_pack_reader *r);

#endif
