/* Hexadecimal digits. Any thread. */
#ifndef FG_BASE_HEX_H
#define FG_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes as lower-case digits; out: 2 n of them and a NUL. */
void fg_hex(const void *bytes, size_t n, char *out);

/* The same of n random bytes, at most 32. False: the system gave none. */
bool fg_hex_random(size_t n, char *out);

/* What a digit of either case stands for; -1: it is none. */
static inline int fg_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
