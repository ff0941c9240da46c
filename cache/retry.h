/* What failed is tried again after a while: at once, then after a tenth of a second, and twice as
 * long after each further failure, up to a minute. Zeros: nothing has failed. */
#ifndef FG_CACHE_RETRY_H
#define FG_CACHE_RETRY_H

#include <stdbool.h>

#include "base/clock.h"

struct fg_retry {
    unsigned failures; /* since it last worked */
    unsigned after;    /* milliseconds from the last of them to when it may be tried again */
    double at;         /* when that is, on the clock of fg_clock_ms() */
};

static inline bool fg_retry_due(const struct fg_retry *r)
{
    return fg_clock_ms() >= r->at;
}

static inline void fg_retry_failed(struct fg_retry *r)
{
    enum { FIRST = 100, MOST = 60000 };

    if (r->failures++ > 0)
        r->after = r->after ? 2 * r->after : FIRST;
    if (r->after > MOST)
        r->after = MOST;
    r->at = fg_clock_ms() + r->after;
}

#endif
