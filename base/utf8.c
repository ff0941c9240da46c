#include "utf8.h"

/* What may follow a lead byte: the number of continuation bytes and the bounds of the first one. */
static int follow(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        return 1;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0) {
            *low = 0xa0; /* below: overlong */
        } else if (lead == 0xed) {
            *high = 0x9f; /* above: surrogates */
        }
        return 2;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0) {
            *low = 0x90;
        } else if (lead == 0xf4) {
            *high = 0x8f; /* above: past U+10FFFF */
        }
        return 3;
    }
    return -1;
}

enum fg_utf8_kind fg_utf8_next(const char *p, size_t n, size_t *len)
{
    const unsigned char *u = (const unsigned char *)p;
    unsigned char low, high;
    int more;

    *len = 1;
    if (u[0] < 0x80) {
        return FG_UTF8_CHAR;
    }
    more = follow(u[0], &low, &high);
    if (more < 0) {
        return FG_UTF8_BAD;
    }
    for (; more > 0; more--) {
        if (*len == n) {
            return FG_UTF8_PARTIAL;
        }
        if (u[*len] < low || u[*len] > high) {
            return FG_UTF8_BAD;
        }
        low = 0x80;
        high = 0xbf;
        (*len)++;
    }
    return FG_UTF8_CHAR;
}

size_t fg_utf8_valid(const char *p, size_t n)
{
    size_t at = 0, len;

    while (at < n && fg_utf8_next(p + at, n - at, &len) == FG_UTF8_CHAR) {
        at += len;
    }
    return at;
}

size_t fg_utf8_length(const char *p, size_t n)
{
    size_t len;

    return fg_utf8_next(p, n, &len) == FG_UTF8_CHAR ? len : 0;
}

size_t fg_utf8_put(uint32_t c, char out[4])
{
    static const uint32_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(first[n] | c);
    return n;
}

size_t fg_utf8_cut(const char *p, size_t n)
{
    while (n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80)
        n--;
    return n;
}
