/* SHA-256 (FIPS 180-4). */
#ifndef FG_CLI_SHA256_H
#define FG_CLI_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct fg_sha256 {
    uint32_t h[8];
    uint64_t bytes; /* so far */
    uint8_t block[64];
};

void fg_sha256_init(struct fg_sha256 *s);
void fg_sha256_add(struct fg_sha256 *s, const void *data, size_t n);
/* The digest as 64 lower-case hexadecimal digits and a NUL; `s` is used up. */
void fg_sha256_hex(struct fg_sha256 *s, char hex[65]);

#endif
