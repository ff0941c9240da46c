#include "quote.h"

#include <string.h>

const char *fg_quote(char buf[FG_QUOTE_BYTES], struct fg_str s)
{
    size_t room = FG_QUOTE_BYTES - 4, n = s.n < room ? s.n : room;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        buf[i] = c < 0x20 || c > 0x7e ? '?' : (char)c;
    }
    memcpy(buf + n, "...", 4);
    if (s.n <= room)
        buf[n] = 0;
    return buf;
}
