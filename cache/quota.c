#include "quota.h"

#include <string.h>
#include <xxhash.h>

#include "fulgur/error.h"
#include "record.h"

/* Moves on to the hour of `now`, or back to it with all that was taken. */
static void turn_to(struct fg_quota *q, uint64_t now)
{
    uint64_t hour = now / 3600;
    struct fg_quota moved = {.hour = hour};

    for (uint64_t ago = 0; hour < q->hour && ago < FG_QUOTA_HOURS; ago++)
        moved.bytes[(hour + FG_QUOTA_HOURS - ago) % FG_QUOTA_HOURS] =
            q->bytes[(q->hour + FG_QUOTA_HOURS - ago) % FG_QUOTA_HOURS];
    if (hour < q->hour)
        *q = moved;
    for (uint64_t i = 0; q->hour < hour && i < FG_QUOTA_HOURS; i++)
        q->bytes[++q->hour % FG_QUOTA_HOURS] = 0;
    q->hour = hour;
}

static uint64_t sum(const struct fg_quota *q)
{
    uint64_t n = 0;

    for (int i = 0; i < FG_QUOTA_HOURS; i++)
        n = n + q->bytes[i] < n ? UINT64_MAX : n + q->bytes[i];
    return n;
}

bool fg_quota_take(struct fg_quota *q, uint64_t limit, uint64_t bytes, uint64_t now)
{
    uint64_t taken;

    turn_to(q, now);
    taken = sum(q);
    if (taken > limit || bytes > limit - taken)
        return false;
    q->bytes[q->hour % FG_QUOTA_HOURS] += bytes;
    return true;
}

void fg_quota_give(struct fg_quota *q, uint64_t bytes)
{
    uint64_t *at = &q->bytes[q->hour % FG_QUOTA_HOURS];

    *at -= bytes < *at ? bytes : *at;
}

void fg_quota_encode(const struct fg_quota *q, uint8_t out[FG_QUOTA_BYTES])
{
    fg_store_u64(out, q->hour);
    for (size_t i = 0; i < FG_QUOTA_HOURS; i++)
        fg_store_u64(out + 8 + 8 * i, q->bytes[i]);
    fg_store_u64(out + FG_QUOTA_BYTES - 8, XXH3_64bits(out, FG_QUOTA_BYTES - 8));
}

int fg_quota_decode(const void *p, size_t n, struct fg_quota *q)
{
    const uint8_t *b = p;

    if (n != FG_QUOTA_BYTES ||
        fg_load_u64(b + FG_QUOTA_BYTES - 8) != XXH3_64bits(b, FG_QUOTA_BYTES - 8))
        return FG_ECORRUPT;
    q->hour = fg_load_u64(b);
    for (size_t i = 0; i < FG_QUOTA_HOURS; i++)
        q->bytes[i] = fg_load_u64(b + 8 + 8 * i);
    return 0;
}
