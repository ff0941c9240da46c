#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "text.h"

enum { MAX_PRECISION = 1000 };

static int64_t read_number(struct jj *j, const struct jj_str *s, size_t *at)
{
    int64_t n = 0;

    for (; *at < s->n && s->p[*at] >= '0' && s->p[*at] <= '9'; ++*at) {
        n = n * 10 + (s->p[*at] - '0');
        if (n > INT32_MAX)
            jj_raise(j, "Too many decimal digits in format string");
    }
    return n;
}

static bool take(const struct jj_str *s, size_t *at, const char *any, char *out)
{
    if (*at == s->n || !s->p[*at] || !strchr(any, s->p[*at]))
        return false;
    *out = s->p[(*at)++];
    return true;
}

static void parse_align(struct jj *j, const struct jj_str *s, size_t *at, struct jj_layout *l)
{
    size_t behind = 0;

    if (!s->n)
        return;
    jj_next_char(s, &behind);
    if (behind < s->n && strchr("<>^=", s->p[behind]) && s->p[behind]) {
        l->fill = jj_str_cut(j, s, 0, behind);
        l->align = s->p[behind];
        *at = behind + 1;
        return;
    }
    take(s, at, "<>^=", &l->align);
}

void jj_layout_parse(struct jj *j, const struct jj_str *s, struct jj_layout *l)
{
    size_t at = 0;
    char hash;

    *l = (struct jj_layout){.fill = NULL, .precision = -1};
    parse_align(j, s, &at, l);
    take(s, &at, "+- ", &l->sign);
    l->alternate = take(s, &at, "#", &hash);
    l->zero = take(s, &at, "0", &hash);
    l->width = read_number(j, s, &at);
    take(s, &at, ",_", &l->grouping);
    if (at < s->n && s->p[at] == '.') {
        at++;
        if (at == s->n || s->p[at] < '0' || s->p[at] > '9')
            jj_raise(j, "Format specifier missing precision");
        l->precision = read_number(j, s, &at);
    }
    take(s, &at, "bcdeEfFgGnosxX%", &l->type);
    if (at < s->n)
        jj_raise(j, "Invalid format specifier '%.*s'", (int)s->n, s->p);
    if (!l->fill)
        l->fill = jj_str_c(j, l->zero ? "0" : " ");
}

static int side_of(char align)
{
    return align == '<' ? 1 : align == '^' ? 0 : -1;
}

/* Fills up to the width. Python's format() puts the odd one right where it centers. */
static void pad(struct jj *j, struct jj_text *t, const struct jj_str *s, const struct jj_layout *l,
                char align)
{
    int64_t more = l->width - (int64_t)s->chars, left = 0;

    if (more < 0)
        more = 0;
    if (side_of(align) <= 0)
        left = align == '^' ? more / 2 : more;
    jj_text_repeat(j, t, l->fill, left);
    jj_text_str(j, t, s);
    jj_text_repeat(j, t, l->fill, more - left);
}

void jj_lay_out_str(struct jj *j, struct jj_text *t, const struct jj_str *s,
                    const struct jj_layout *l)
{
    if (l->type && l->type != 's')
        jj_raise(j, "Unknown format code '%c' for object of type 'str'", l->type);
    if (l->sign || l->grouping || l->alternate || l->align == '=')
        jj_raise(j, "this format specification is not allowed for strings");
    if (l->precision >= 0)
        s = jj_str_cut(j, s, 0, jj_str_offset(s, (size_t)l->precision));
    pad(j, t, s, l, l->align ? l->align : '<');
}

/* --- numbers --- */

/* The digits of a number without its sign. */
struct digits {
    char text[MAX_PRECISION + 400];
    bool minus;
    const char *prefix; /* 0x, ... */
};

static void integer_digits(struct jj *j, struct digits *d, int64_t i, const struct jj_layout *l)
{
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    char bits[65], *p = bits + 64;

    d->minus = i < 0;
    *p = '\0';
    switch (l->type) {
    case 'x':
        d->prefix = "0x";
        sprintf(d->text, "%llx", (unsigned long long)u);
        return;
    case 'X':
        d->prefix = "0X";
        sprintf(d->text, "%llX", (unsigned long long)u);
        return;
    case 'o':
        d->prefix = "0o";
        sprintf(d->text, "%llo", (unsigned long long)u);
        return;
    case 'b':
        d->prefix = "0b";
        do {
            *--p = (char)('0' + (u & 1));
        } while (u >>= 1);
        strcpy(d->text, p);
        return;
    case 0:
    case 'n':
    case 'd': sprintf(d->text, "%llu", (unsigned long long)u); return;
    default: jj_raise(j, "Unknown format code '%c' for object of type 'int'", l->type);
    }
}

static void print_float(struct digits *d, double x, int precision, char type, bool alternate)
{
    char format[8];

    snprintf(format, sizeof format, "%%%s.*%c", alternate ? "#" : "", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(d->text, sizeof d->text, format, precision, x);
#pragma GCC diagnostic pop
}

/* Without a type and with a precision: as %g, but with a digit behind the point. */
static void general_digits(struct digits *d, double x, const struct jj_layout *l)
{
    print_float(d, x, l->precision ? (int)l->precision : 1, 'g', l->alternate);
    if (!strpbrk(d->text, ".en"))
        strcat(d->text, ".0");
}

static void float_digits(struct jj *j, struct digits *d, double x, const struct jj_layout *l)
{
    int precision = l->precision < 0 ? 6 : (int)l->precision;

    if (l->precision > MAX_PRECISION)
        jj_raise(j, "precision too big");
    d->minus = signbit(x) && !isnan(x);
    x = fabs(x);
    if (!isfinite(x)) {
        strcpy(d->text, isnan(x) ? "nan" : "inf");
        if (l->type == 'E' || l->type == 'F' || l->type == 'G')
            strcpy(d->text, isnan(x) ? "NAN" : "INF");
        strcat(d->text, l->type == '%' ? "%" : "");
        return;
    }
    switch (l->type) {
    case 0:
        if (l->precision < 0)
            jj_float_text(x, d->text);
        else
            general_digits(d, x, l);
        break;
    case '%':
        print_float(d, x * 100, precision, 'f', l->alternate);
        strcat(d->text, "%");
        break;
    case 'n': print_float(d, x, precision, 'g', l->alternate); break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': print_float(d, x, precision, l->type, l->alternate); break;
    default: jj_raise(j, "Unknown format code '%c' for object of type 'float'", l->type);
    }
}

/* The digits with a comma (or so) between each three, or four, before the point. */
static const struct jj_str *grouped(struct jj *j, const char *digits, const struct jj_layout *l,
                                    uint32_t src)
{
    bool decimal = !l->type || !strchr("xXob", l->type);
    size_t n = decimal ? strspn(digits, "0123456789") : strlen(digits), each = decimal ? 3 : 4;
    struct jj_text t = {0};

    for (size_t i = 0; i < n; i++) {
        if (l->grouping && i && (n - i) % each == 0)
            jj_text_add(j, &t, &l->grouping, 1, src);
        jj_text_add(j, &t, digits + i, 1, src);
    }
    jj_text_c(j, &t, digits + n, src);
    return jj_text_end(j, &t);
}

static void sign_and_prefix(struct jj *j, struct jj_text *t, const struct digits *d,
                            const struct jj_layout *l, uint32_t src)
{
    const char sign[2] = {l->sign && l->sign != '-' ? l->sign : '\0', '\0'};

    jj_text_c(j, t, d->minus ? "-" : sign, src);
    if (l->alternate && d->prefix)
        jj_text_c(j, t, d->prefix, src);
}

static void lay_out_digits(struct jj *j, struct jj_text *t, const struct digits *d,
                           const struct jj_layout *l, uint32_t src)
{
    const struct jj_str *digits = grouped(j, d->text, l, src);
    char align = l->align ? l->align : l->zero ? '=' : '>';
    struct jj_text all = {0};

    sign_and_prefix(j, &all, d, l, src);
    if (align == '=') {
        jj_text_repeat(j, &all, l->fill, l->width - (int64_t)all.n - (int64_t)digits->chars);
        jj_text_str(j, &all, digits);
        jj_text_str(j, t, jj_text_end(j, &all));
        return;
    }
    jj_text_str(j, &all, digits);
    pad(j, t, jj_text_end(j, &all), l, align);
}

static void lay_out_char(struct jj *j, struct jj_text *t, struct jj_value v,
                         const struct jj_layout *l)
{
    struct jj_text one = {0};
    int64_t c = jj_as_int(v);

    if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        jj_raise(j, "%%c arg not in range(0x110000)");
    jj_text_char(j, &one, (uint32_t)c, v.src);
    pad(j, t, jj_text_end(j, &one), l, l->align ? l->align : '<');
}

void jj_lay_out_number(struct jj *j, struct jj_text *t, struct jj_value v,
                       const struct jj_layout *l)
{
    struct digits *d = jj_alloc(j, sizeof *d);
    bool integer = v.kind != JJ_FLOAT && !(l->type && strchr("eEfFgG%", l->type));

    jj_spend(j, 20);
    if (l->type == 'c' && jj_is_integer(v)) {
        lay_out_char(j, t, v, l);
        return;
    }
    if (integer && v.kind == JJ_BIGINT)
        jj_raise(j, "an integer is larger than 64 bits");
    if (integer && l->precision >= 0)
        jj_raise(j, "Precision not allowed in integer format specifier");
    if (integer)
        integer_digits(j, d, jj_as_int(v), l);
    else
        float_digits(j, d, jj_as_float(v), l);
    lay_out_digits(j, t, d, l, v.src);
}
