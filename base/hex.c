#include "hex.h"

#include <sys/random.h>

void fg_hex(const void *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *b = bytes;

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[b[i] >> 4];
        *out++ = digits[b[i] & 15];
    }
    *out = '\0';
}

bool fg_hex_random(size_t n, char *out)
{
    unsigned char bytes[32];

    if (n > sizeof bytes || getrandom(bytes, n, 0) != (ssize_t)n)
        return false;
    fg_hex(bytes, n, out);
    return true;
}
