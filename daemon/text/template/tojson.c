#include "tojson.h"

#include <stdlib.h>
#include <string.h>

static void add_string(struct fg_buffer *out, const char *s, size_t n)
{
    static const char short_of[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    size_t plain = 0;

    fg_buffer_str(out, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        char escape[8];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        fg_buffer_add(out, s + plain, i - plain);
        plain = i + 1;
        snprintf(escape, sizeof escape, "\\u%04x", c);
        for (size_t k = 0; k + 1 < sizeof short_of; k += 2) {
            if ((unsigned char)short_of[k] == c) {
                snprintf(escape, sizeof escape, "\\%c", short_of[k + 1]);
            }
        }
        fg_buffer_str(out, escape);
    }
    fg_buffer_add(out, s + plain, n - plain);
    fg_buffer_str(out, "\"");
}

/* The shortest digits that read back as the same double, in Python's layout: an exponent below -4
 * and from 16 on, otherwise a point with at least one digit after it. */
static void add_real(struct fg_buffer *out, double x)
{
    char text[40], digits[20];
    size_t n = 0;
    int precision = 0, exponent;

    do {
        snprintf(text, sizeof text, "%.*e", precision, x);
    } while (strtod(text, NULL) != x && ++precision < 17);
    for (const char *p = text; *p != 'e' && n < sizeof digits; p++) {
        if (*p >= '0' && *p <= '9') {
            digits[n++] = *p;
        }
    }
    exponent = atoi(strchr(text, 'e') + 1);
    fg_buffer_str(out, text[0] == '-' ? "-" : "");
    if (exponent < -4 || exponent >= 16) {
        fg_buffer_add(out, digits, 1);
        fg_buffer_str(out, n > 1 ? "." : "");
        fg_buffer_add(out, digits + 1, n - 1);
        snprintf(text, sizeof text, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        fg_buffer_str(out, text);
        return;
    }
    if (exponent < 0) {
        fg_buffer_str(out, "0.");
        fg_buffer_add(out, "000", (size_t)-exponent - 1);
        fg_buffer_add(out, digits, n);
        return;
    }
    for (size_t i = 0; i < n || i <= (size_t)exponent + 1; i++) {
        if (i == (size_t)exponent + 1) {
            fg_buffer_str(out, ".");
        }
        fg_buffer_add(out, i < n ? &digits[i] : "0", 1);
    }
}

static void add_object(struct fg_buffer *out, const json_t *value)
{
    json_t *object = (json_t *)value, *member; /* jansson's iterators are not const */
    const char *key, *between = "";

    fg_buffer_str(out, "{");
    json_object_foreach(object, key, member)
    {
        fg_buffer_str(out, between);
        add_string(out, key, strlen(key));
        fg_buffer_str(out, ": ");
        fg_tojson(out, member);
        between = ", ";
    }
    fg_buffer_str(out, "}");
}

void fg_tojson(struct fg_buffer *out, const json_t *value)
{
    char number[32];

    switch (json_typeof(value)) {
    case JSON_OBJECT: add_object(out, value); break;
    case JSON_ARRAY:
        fg_buffer_str(out, "[");
        for (size_t i = 0; i < json_array_size(value); i++) {
            fg_buffer_str(out, i ? ", " : "");
            fg_tojson(out, json_array_get(value, i));
        }
        fg_buffer_str(out, "]");
        break;
    case JSON_STRING: add_string(out, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER:
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        fg_buffer_str(out, number);
        break;
    case JSON_REAL: add_real(out, json_real_value(value)); break;
    case JSON_TRUE: fg_buffer_str(out, "true"); break;
    case JSON_FALSE: fg_buffer_str(out, "false"); break;
    case JSON_NULL: fg_buffer_str(out, "null"); break;
    }
}
