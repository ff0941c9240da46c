/* A pack to be imported: as its bytes are, and with checksums put right, so that what they guard is
 * reached. The first byte chooses. */
#include "fuzz.h"

#include "cache/pack.h"

static volatile unsigned sum;

static void read_all(const uint8_t *p, size_t n)
{
    struct fg_pack_record rec;
    struct fg_pack_reader r;
    struct fg_err err = {0};
    uint64_t bytes;
    int rc = fg_pack_reader_init(&r, p, n, &err);

    while (rc == 0 || rc == 1) {
        rc = fg_pack_next(&r, &rec, &err);
        if (rc != 1)
            break;
        bytes = rec.is_state ? r.head.state_bytes : r.head.block_bytes;
        for (uint64_t i = 0; i < bytes; i++)
            sum += ((const uint8_t *)rec.payload)[i];
        HOLDS(rec.index < r.head.n_blocks);
    }
    if (rc == 0)
        HOLDS(r.at == n && r.blocks == r.head.n_blocks && r.states == r.head.n_states);
    else
        HOLDS(err.text[0]);
}

/* A head and records of the input's numbers, sealed. */
static void read_sealed(struct input *in)
{
    enum { MOST = 1 << 16 };
    struct fg_pack_head h = {.n_blocks = (uint32_t)take(in, 4), .n_states = (uint32_t)take(in, 4)};
    uint8_t *pack = calloc(1, MOST), *exact;
    size_t at = FG_PACK_HEAD_BYTES;

    HOLDS(pack);
    h.block_bytes = take(in, 8);
    h.state_bytes = take(in, 8);
    fg_pack_head_encode(&h, pack);
    while (in->n && at < MOST) {
        struct fg_pack_record rec = {.is_state = take(in, 1) & 1, .index = (uint32_t)take(in, 1)};
        uint64_t claimed = rec.is_state ? h.state_bytes : h.block_bytes;
        size_t room = MOST - at < FG_PACK_RECORD_BYTES ? 0 : MOST - at - FG_PACK_RECORD_BYTES;
        size_t n = claimed < room ? (size_t)claimed : room;

        if (!room)
            break;
        rec.payload = pack + at + FG_PACK_RECORD_BYTES;
        memset(pack + at + FG_PACK_RECORD_BYTES, (int)take(in, 1), n);
        fg_pack_record_encode(pack, &rec, n, pack + at);
        at += FG_PACK_RECORD_BYTES + n;
    }
    exact = malloc(at); /* so that reading on is noticed */
    HOLDS(exact);
    memcpy(exact, pack, at);
    read_all(exact, at);
    free(exact);
    free(pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};

    if (take(&in, 1) & 1)
        read_sealed(&in);
    else
        read_all(in.p, in.n);
    return 0;
}
