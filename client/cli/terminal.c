#include "terminal.h"

/* How many bytes of a control character lie at p, or 0. */
static size_t control(const unsigned char *p, size_t left)
{
    if ((p[0] < 0x20 && p[0] != '\n' && p[0] != '\t') || p[0] == 0x7F) {
        return 1;
    }
    return left >= 2 && p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0x9F ? 2 : 0;
}

void fg_cli_terminal_write(FILE *out, const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t from = 0, at = 0;

    while (at < bytes) {
        size_t n = control(p + at, bytes - at);
        if (n > 0) {
            fwrite(text + from, 1, at - from, out);
            from = at + n;
        }
        at += n > 0 ? n : 1;
    }
    fwrite(text + from, 1, bytes - from, out);
}
