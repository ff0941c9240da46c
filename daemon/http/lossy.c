#include "lossy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t fg_api_utf8_length(const unsigned char *p, size_t n)
{
    unsigned char c = p[0], low = 0x80, high = 0xBF;
    size_t len;

    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF) {
        len = 2;
    } else if ((c & 0xF0) == 0xE0) {
        len = 3;
        if (c == 0xE0)
            low = 0xA0;
        if (c == 0xED)
            high = 0x9F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        len = 4;
        if (c == 0xF0)
            low = 0x90;
        if (c == 0xF4)
            high = 0x8F;
    } else {
        return 0;
    }
    if (n < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

json_t *fg_json_stringn(const char *bytes, size_t n)
{
    static const char replacement[3] = {'\xEF', '\xBF', '\xBD'};
    const unsigned char *p = (const unsigned char *)bytes;
    size_t bad = 0, out = 0, len;
    json_t *s;
    char *fixed;

    for (size_t i = 0; i < n; i += len ? len : 1) {
        len = fg_api_utf8_length(p + i, n - i);
        bad += !len;
    }
    if (!bad)
        return json_stringn_nocheck(n ? bytes : "", n);
    if (bad > (SIZE_MAX - n) / 2)
        return NULL;
    fixed = malloc(n + 2 * bad); /* each bad byte grows to three */
    if (!fixed)
        return NULL;
    for (size_t i = 0; i < n; i += len ? len : 1) {
        len = fg_api_utf8_length(p + i, n - i);
        memcpy(fixed + out, len ? bytes + i : replacement, len ? len : sizeof replacement);
        out += len ? len : sizeof replacement;
    }
    s = json_stringn_nocheck(fixed, out);
    free(fixed);
    return s;
}

json_t *fg_json_string(const char *s)
{
    return s ? fg_json_stringn(s, strlen(s)) : json_null();
}

size_t fg_api_code_points(const char *bytes, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return count;
}
