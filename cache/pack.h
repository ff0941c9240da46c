/* A pack: one stored prefix as a file, to be carried to another store (docs/pack-format.md). Pure
 * functions, any thread. The bytes of a pack are not trusted: every size is checked before use. */
#ifndef FG_CACHE_PACK_H
#define FG_CACHE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "key.h"

enum {
    FG_PACK_VERSION = 1,
    FG_PACK_HEAD_BYTES = 192,
    FG_PACK_RECORD_BYTES = 288, /* before each payload */
    FG_PACK_NAME = 64,
};

/* What the pack says of itself. */
struct fg_pack_head {
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
/* The first bytes of a pack of n bytes. FG_EFORMAT: not a pack, cut off, its checksum does not
 * hold, or sizes that contradict each other or n; FG_EUNSUPPORTED: another version, both are named.
 */
int fg_pack_head_decode(const uint8_t *p, size_t n, struct fg_pack_head *h, struct fg_err *err);
/* Would the pack's payloads be right here? FG_EINVAL: names the first field that differs, and both
 * values. */
int fg_pack_match(const struct fg_pack_head *pack, const struct fg_pack_head *here,
                  struct fg_err *err);

/* What stands before a record's payload, of which `head` are the pack's first bytes. */
void fg_pack_record_encode(const uint8_t head[FG_PACK_HEAD_BYTES], const struct fg_pack_record *r,
                           uint64_t payload_bytes, uint8_t out[FG_PACK_RECORD_BYTES]);

/* Goes through the records: blocks ascend from 0, each may be followed by its state. */
struct fg_pack_reader {
    const uint8_t *p;
    size_t n, at;
    struct fg_pack_head head;
    uint32_t blocks, states; /* seen */
    bool after_block;        /* a state may follow */
};
/* Checks the head; the pack's n bytes at p must outlive the reader. As fg_pack_head_decode(). */
int fg_pack_reader_init(struct fg_pack_reader *r, const void *p, size_t n, struct fg_err *err);
/* 1: *out is the next record, verified; 0: the pack is over, and whole; FG_EFORMAT: what is wrong,
 * and where. */
int fg_pack_next(struct fg_pack_reader *r, struct fg_pack_record *out, struct fg_err *err);

#endif
