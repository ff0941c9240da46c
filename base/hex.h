/* Bytes as lower-case hexadecimal digits. */
#ifndef FG_BASE_HEX_H
#define FG_BASE_HEX_H

#include <stddef.h>

/* out: 2 n digits and a NUL. Any thread. */
void fg_hex(const void *bytes, size_t n, char *out);

#endif
