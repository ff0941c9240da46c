/* SipHash-2-4 with 128 bits of output: a pseudo-random function of short inputs, by Aumasson and
 * Bernstein (https://www.aumasson.jp/siphash/siphash.pdf; the 128-bit form is that of the authors'
 * reference code). Pure, any thread. */
#ifndef FG_SIPHASH_H
#define FG_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* out[16] of data[n] under key[16]. Who does not know the key can neither foretell an output nor
 * find inputs for one. */
void fg_siphash128(const uint8_t key[16], const void *data, size_t n, uint8_t out[16]);

#endif
