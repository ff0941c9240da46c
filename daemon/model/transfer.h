/* Transfers: records (a page, a saved state) on their way between blobs and the device, on a thread
 * of the engine's, piece by piece: pieces of several transfers are moved in turn. Where the
 * device's memory is mapped they are copied there and back; otherwise, and with the engine's option
 * stage_transfers, they go through a ring of staging buffers on the transfer stream. */
#ifndef FG_TRANSFER_H
#define FG_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ticket.h"
#include "engine.h"

struct fg_buffer;
struct fg_transfers;

/* Where a part of a record lies on the device. */
struct fg_extent {
    struct fg_buffer *buffer;
    uint64_t at, bytes;
};

/* A record's way. */
struct fg_transfer {
    const struct fg_extent *extents; /* [n_extents], copied; together as long as the blob */
    uint32_t n_extents;
    bool to_device;
    uint64_t after;       /* submissions of FG_STREAM_COMPUTE that come first (gpu/stream.h) */
    struct fg_blob *blob; /* read or written; the transfer takes a reference of its own */
    struct fg_ticket *ticket;
};

/* Host memory of the ring, for records of that size at most. */
uint64_t fg_transfers_bytes(uint64_t largest_record);
int fg_transfers_create(struct fg_device *d, uint64_t largest_record, bool stage,
                        struct fg_transfers **out, struct fg_err *err);
/* Waits for all of them. NULL is fine. */
void fg_transfers_destroy(struct fg_transfers *t);
/* The ticket begins here, and ends with the transfer: with FG_EINVAL (the blob's length is wrong),
 * FG_ENOMEM, FG_EDEVICE, FG_EDEVICELOST where it failed. Until then what the extents hold must
 * stay. Any thread. */
void fg_transfers_start(struct fg_transfers *t, const struct fg_transfer *what);
/* For tests: pieces of at most `bytes`, while no transfer is under way. */
void fg_transfers_limit(struct fg_transfers *t, uint64_t bytes);

#endif
