/* The cap on bytes written a day: what was written in each of the last 24 hours.
 *
 * By the machine's clock, which may jump. Back: nothing is forgotten, and the hours count on from
 * there. Forward: what lies more than a day behind is forgotten, so a jump is worth one day's bytes
 * at most. Pure functions, no I/O. Not thread-safe: the owner's. */
#ifndef FG_CACHE_QUOTA_H
#define FG_CACHE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FG_QUOTA_HOURS = 24, FG_QUOTA_BYTES = 8 * (FG_QUOTA_HOURS + 2) };

struct fg_quota {
    uint64_t hour;                  /* since 1970: the latest one */
    uint64_t bytes[FG_QUOTA_HOURS]; /* of hour h at h % 24 */
};

/* Takes `bytes` at the time `now` (seconds since 1970) when no more than `limit` were taken within
 * 24 hours. False: nothing is taken. */
bool fg_quota_take(struct fg_quota *q, uint64_t limit, uint64_t bytes, uint64_t now);
/* Gives back what was taken and not written. */
void fg_quota_give(struct fg_quota *q, uint64_t bytes);

void fg_quota_encode(const struct fg_quota *q, uint8_t out[FG_QUOTA_BYTES]);
/* 0 or FG_ECORRUPT. */
int fg_quota_decode(const void *p, size_t n, struct fg_quota *q);

#endif
