/* What the fuzz targets share. A target is one file, one libFuzzer program: it takes bytes that an
 * attacker could have made, and a wrong answer is as much a finding as a crash. tools/fuzz builds
 * and runs them. */
#ifndef FG_TEST_FUZZ_H
#define FG_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What must hold for every input. */
#define HOLDS(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The input, taken from its start; what is past its end reads as zeros. */
struct input {
    const uint8_t *p;
    size_t n;
};

static inline uint64_t take(struct input *in, size_t bytes)
{
    uint64_t v = 0;

    for (size_t i = 0; i < bytes && in->n; i++, in->p++, in->n--)
        v |= (uint64_t)*in->p << (8 * i);
    return v;
}

/* Up to `most` bytes, as many as there are. */
static inline const uint8_t *take_bytes(struct input *in, size_t most, size_t *n)
{
    const uint8_t *p = in->p;

    *n = most < in->n ? most : in->n;
    in->p += *n;
    in->n -= *n;
    return p;
}

/* Up to the next `end`, which is taken as well, or to the input's end. */
static inline const uint8_t *take_until(struct input *in, uint8_t end, size_t *n)
{
    const uint8_t *p = in->p, *stop = in->n ? memchr(p, end, in->n) : NULL;

    *n = stop ? (size_t)(stop - p) : in->n;
    in->p += *n + (stop != NULL);
    in->n -= *n + (stop != NULL);
    return p;
}

#endif
