/* The records of a store as somebody who can write the file would leave them: decoded, and where
 * that goes well the same bytes again when encoded. */
#include "fuzz.h"

#include "base/blob.h"
#include "cache/record.h"

static void meta(enum fg_kind kind, struct input in)
{
    struct fg_key key = {{1, 2, 3}};
    uint8_t again[FG_META_BYTES];
    struct fg_record r;

    if (fg_meta_decode(kind, &key, in.p, in.n, &r))
        return;
    fg_meta_encode(kind, &key, &r, again);
    HOLDS(in.n == FG_META_BYTES && memcmp(again, in.p, sizeof again) == 0);
}

/* Sealed with numbers of the input's. */
static void sealed(enum fg_kind kind, struct input in)
{
    struct fg_record r = {.bytes = take(&in, 8), .use = take(&in, 8), .stamp = take(&in, 8)}, got;
    struct fg_key key = {{1, 2, 3}};
    uint8_t bytes[FG_META_BYTES];

    r.uses = (uint32_t)take(&in, 4);
    r.micros = (uint32_t)take(&in, 4);
    r.boundary = (uint32_t)take(&in, 4);
    r.index = (uint32_t)take(&in, 4);
    fg_meta_encode(kind, &key, &r, bytes);
    if (fg_meta_decode(kind, &key, bytes, sizeof bytes, &got) == 0 && got.bytes &&
        got.bytes < (uint64_t)1 << 40) {
        uint32_t pieces = fg_record_pieces(got.bytes);

        HOLDS(pieces && fg_record_piece(kind, &key, &got, pieces - 1).bytes);
    }
}

static void piece(enum fg_kind kind, struct input in)
{
    struct fg_record_piece p = {.kind = kind, .stamp = take(&in, 2), .number = 0};
    struct fg_blob *blob;

    p.bytes = (uint32_t)take(&in, 2) + 1;
    blob = fg_blob_create(p.bytes);
    HOLDS(blob);
    (void)fg_piece_decode(&p, in.p, in.n, blob, 0);
    fg_blob_unref(blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    unsigned what = (unsigned)take(&in, 1);
    enum fg_kind kind = what & 0x80 ? FG_KIND_STATE : FG_KIND_BLOCK;
    uint32_t version;
    uint64_t clock;

    switch (what % 4) {
    case 0: meta(kind, in); break;
    case 1: sealed(kind, in); break;
    case 2: piece(kind, in); break;
    default:
        (void)fg_format_decode(in.p, in.n, &version);
        (void)fg_clock_decode(in.p, in.n, &clock);
    }
    return 0;
}
