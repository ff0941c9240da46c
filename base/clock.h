/* The clock: CLOCK_MONOTONIC, which no setting of the time moves. Any thread. */
#ifndef FG_BASE_CLOCK_H
#define FG_BASE_CLOCK_H

#include <time.h>

static inline double fg_clock_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double fg_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* When so many milliseconds from now have gone by, for pthread_cond_timedwait() on a condition that
 * uses this clock. */
static inline struct timespec fg_clock_in_ms(unsigned ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

#endif
