#include "lossy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

json_t *fg_json_stringn(const char *bytes, size_t n)
{
    static const char replacement[3] = {'\xEF', '\xBF', '\xBD'};
    size_t bad = 0, out = 0, len;
    json_t *s;
    char *fixed;

    for (size_t i = 0; i < n; i += len ? len : 1) {
        len = fg_utf8_length(bytes + i, n - i);
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
        len = fg_utf8_length(bytes + i, n - i);
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
