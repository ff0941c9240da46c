#include "blob.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

struct fg_blob {
    atomic_uint refs;
    uint32_t n_pieces;
    uint64_t bytes;
    uint8_t *pieces[];
};

uint32_t fg_blob_pieces_of(uint64_t bytes)
{
    return (uint32_t)((bytes + FG_PIECE_BYTES - 1) / FG_PIECE_BYTES);
}

static size_t piece_bytes(const struct fg_blob *b, uint32_t i)
{
    uint64_t left = b->bytes - (uint64_t)i * FG_PIECE_BYTES;

    return left < FG_PIECE_BYTES ? (size_t)left : FG_PIECE_BYTES;
}

struct fg_blob *fg_blob_create(uint64_t bytes)
{
    uint32_t n = fg_blob_pieces_of(bytes);
    struct fg_blob *b = calloc(1, sizeof *b + n * sizeof *b->pieces);

    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->bytes = bytes;
    b->n_pieces = n;
    for (uint32_t i = 0; i < n; i++) {
        size_t room = (piece_bytes(b, i) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

        b->pieces[i] = aligned_alloc(ALIGNMENT, room);
        if (!b->pieces[i]) {
            fg_blob_unref(b);
            return NULL;
        }
    }
    return b;
}

struct fg_blob *fg_blob_copy_of(const void *data, uint64_t bytes)
{
    struct fg_blob *b = fg_blob_create(bytes);

    if (b)
        fg_blob_write(b, 0, data, bytes);
    return b;
}

struct fg_blob *fg_blob_ref(struct fg_blob *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void fg_blob_unref(struct fg_blob *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < b->n_pieces; i++)
        free(b->pieces[i]);
    free(b);
}

uint64_t fg_blob_bytes(const struct fg_blob *b)
{
    return b->bytes;
}

uint32_t fg_blob_pieces(const struct fg_blob *b)
{
    return b->n_pieces;
}

void *fg_blob_piece(const struct fg_blob *b, uint32_t i, size_t *bytes)
{
    *bytes = piece_bytes(b, i);
    return b->pieces[i];
}

void *fg_blob_at(const struct fg_blob *b, uint64_t at, size_t *bytes)
{
    uint32_t i = (uint32_t)(at / FG_PIECE_BYTES);
    size_t within = (size_t)(at % FG_PIECE_BYTES);

    *bytes = piece_bytes(b, i) - within;
    return b->pieces[i] + within;
}

void fg_blob_read(const struct fg_blob *b, uint64_t at, void *dst, uint64_t bytes)
{
    for (size_t n; bytes; at += n, bytes -= n, dst = (char *)dst + n) {
        const void *src = fg_blob_at(b, at, &n);

        n = n < bytes ? n : (size_t)bytes;
        memcpy(dst, src, n);
    }
}

void fg_blob_write(struct fg_blob *b, uint64_t at, const void *src, uint64_t bytes)
{
    for (size_t n; bytes; at += n, bytes -= n, src = (const char *)src + n) {
        void *dst = fg_blob_at(b, at, &n);

        n = n < bytes ? n : (size_t)bytes;
        memcpy(dst, src, n);
    }
}
