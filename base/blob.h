/* A blob: bytes on their way between device, host memory and disk, in pieces of at most 4 MiB, so
 * that no step of the way holds up others for longer than one piece takes. Counted by references:
 * whoever keeps one takes one. The bytes are written by the one who made it, and never again once
 * it is shared. Any thread. */
#ifndef FG_BASE_BLOB_H
#define FG_BASE_BLOB_H

#include <stddef.h>
#include <stdint.h>

enum { FG_PIECE_BYTES = 4 << 20 };

struct fg_blob; /* opaque */

/* Contents undefined, each piece aligned to 64 bytes; the caller's one reference. bytes >= 1.
 * NULL: out of memory. */
struct fg_blob *fg_blob_create(uint64_t bytes);
/* One piece after another of `data`[bytes]. NULL: out of memory. */
struct fg_blob *fg_blob_copy_of(const void *data, uint64_t bytes);
struct fg_blob *fg_blob_ref(struct fg_blob *b); /* returns b */
void fg_blob_unref(struct fg_blob *b);          /* NULL is fine */

uint64_t fg_blob_bytes(const struct fg_blob *b);
/* Pieces that `bytes` take: all of FG_PIECE_BYTES but the last. */
uint32_t fg_blob_pieces_of(uint64_t bytes);
uint32_t fg_blob_pieces(const struct fg_blob *b);
void *fg_blob_piece(const struct fg_blob *b, uint32_t i, size_t *bytes);
/* Where byte `at` lies, and how many follow it in the same piece. */
void *fg_blob_at(const struct fg_blob *b, uint64_t at, size_t *bytes);
/* Between the blob's bytes [at, at + bytes) and flat memory. */
void fg_blob_read(const struct fg_blob *b, uint64_t at, void *dst, uint64_t bytes);
void fg_blob_write(struct fg_blob *b, uint64_t at, const void *src, uint64_t bytes);

#endif
