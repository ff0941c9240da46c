#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "text.h"

enum { MAX_PRECISION = 1000 };

static int64_t read_number(struct fg_jj *j, const struct fg_jj_str *s, size_t *at)
{
    int64_t n = 0;

    for (; *at < s->n && s->p[*at] >= '0' && s->p[*at] <= '9'; ++*at) {
        n = n * 10 + (s->p[*at] - '0');
        if (n > INT32_MAX)
            fg_jj_raise(j, "Too many decimal digits in format string");
    }
    return n;
}

static bool take(const struct fg_jj_str *s, size_t *at, const char *any, char *out)
{
    if (*at == s->n || !s->p[*at] || !strchr(any, s->p[*at]))
        return false;
    *out = s->p[(*at)++];
    return true;
}

static void parse_align(struct fg_jj *j, const struct fg_jj_str *s, size_t *at,
                        struct fg_jj_layout *l)
{
    size_t behind = 0;

    if (!s->n)
        return;
    fg_jj_next_char(s, &behind);
    if (behind < s->n && strchr("<>^=", s->p[behind]) && s->p[behind]) {
        l->fill = fg_jj_str_cut(j, s, 0, behind);
        l->align = s->p[behind];
        *at = behind + 1;
        return;
    }
    take(s, at, "<>^=", &l->align);
}

void fg_jj_layout_parse(struct fg_jj *j, const struct fg_jj_str *s, struct fg_jj_layout *l)
{
    size_t at = 0;
    char hash;

    *l = (struct fg_jj_layout){.fill = NULL, .precision = -1};
    parse_align(j, s, &at, l);
    take(s, &at, "+- ", &l->sign);
    l->alternate = take(s, &at, "#", &hash);
    l->zero = take(s, &at, "0", &hash);
    l->width = read_number(j, s, &at);
    take(s, &at, ",_", &l->grouping);
    if (at < s->n && s->p[at] == '.') {
        at++;
        if (at == s->n || s->p[at] < '0' || s->p[at] > '9')
            fg_jj_raise(j, "Format specifier missing precision");
        l->precision = read_number(j, s, &at);
    }
    take(s, &at, "bcdeEfFgGnosxX%", &l->type);
    if (at < s->n)
        fg_jj_raise(j, "Invalid format specifier '%.*s'", (int)s->n, s->p);
    if (!l->fill)
        l->fill = fg_jj_str_c(j, l->zero ? "0" : " ");
}

static int side_of(char align)
{
    return align == '<' ? 1 : align == '^' ? 0 : -1;
}

/* Fills up to the width. Python's format() puts the odd one right where it centers. */
static void pad(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s,
                const struct fg_jj_layout *l, char align)
{
    int64_t more = l->width - (int64_t)s->chars, left = 0;

    if (more < 0)
        more = 0;
    if (side_of(align) <= 0)
        left = align == '^' ? more / 2 : more;
    fg_jj_text_repeat(j, t, l->fill, left);
    fg_jj_text_str(j, t, s);
    fg_jj_text_repeat(j, t, l->fill, more - left);
}

void fg_jj_lay_out_str(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s,
                       const struct fg_jj_layout *l)
{
    if (l->type && l->type != 's')
        fg_jj_raise(j, "Unknown format code '%c' for object of type 'str'", l->type);
    if (l->sign || l->grouping || l->alternate || l->align == '=')
        fg_jj_raise(j, "this format specification is not allowed for strings");
    if (l->precision >= 0)
        s = fg_jj_str_cut(j, s, 0, fg_jj_str_offset(s, (size_t)l->precision));
    pad(j, t, s, l, l->align ? l->align : '<');
}

/* --- numbers --- */

/* The digits of a number without its sign. */
struct digits {
    char text[MAX_PRECISION + 400];
    bool minus;
    const char *prefix; /* 0x, ... */
};

static void integer_digits(struct fg_jj *j, struct digits *d, int64_t i,
                           const struct fg_jj_layout *l)
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
    default: fg_jj_raise(j, "Unknown format code '%c' for object of type 'int'", l->type);
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
static void general_digits(struct digits *d, double x, const struct fg_jj_layout *l)
{
    print_float(d, x, l->precision ? (int)l->precision : 1, 'g', l->alternate);
    if (!strpbrk(d->text, ".en"))
        strcat(d->text, ".0");
}

static void float_digits(struct fg_jj *j, struct digits *d, double x, const struct fg_jj_layout *l)
{
    int precision = l->precision < 0 ? 6 : (int)l->precision;

    if (l->precision > MAX_PRECISION)
        fg_jj_raise(j, "precision too big");
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
            fg_jj_float_text(x, d->text);
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
    default: fg_jj_raise(j, "Unknown format code '%c' for object of type 'float'", l->type);
    }
}

/* The digits with a comma (or so) between each three, or four, before the point. */
static const struct fg_jj_str *grouped(struct fg_jj *j, const char *digits,
                                       const struct fg_jj_layout *l, uint32_t src)
{
    bool decimal = !l->type || !strchr("xXob", l->type);
    size_t n = decimal ? strspn(digits, "0123456789") : strlen(digits), each = decimal ? 3 : 4;
    struct fg_jj_text t = {0};

    for (size_t i = 0; i < n; i++) {
        if (l->grouping && i && (n - i) % each == 0)
            fg_jj_text_add(j, &t, &l->grouping, 1, src);
        fg_jj_text_add(j, &t, digits + i, 1, src);
    }
    fg_jj_text_c(j, &t, digits + n, src);
    return fg_jj_text_end(j, &t);
}

static void sign_and_prefix(struct fg_jj *j, struct fg_jj_text *t, const struct digits *d,
                            const struct fg_jj_layout *l, uint32_t src)
{
    const char sign[2] = {l->sign && l->sign != '-' ? l->sign : '\0', '\0'};

    fg_jj_text_c(j, t, d->minus ? "-" : sign, src);
    if (l->alternate && d->prefix)
        fg_jj_text_c(j, t, d->prefix, src);
}

static void lay_out_digits(struct fg_jj *j, struct fg_jj_text *t, const struct digits *d,
                           const struct fg_jj_layout *l, uint32_t src)
{
    const struct fg_jj_str *digits = grouped(j, d->text, l, src);
    char align = l->align ? l->align : l->zero ? '=' : '>';
    struct fg_jj_text all = {0};

    sign_and_prefix(j, &all, d, l, src);
    if (align == '=') {
        fg_jj_text_repeat(j, &all, l->fill, l->width - (int64_t)all.n - (int64_t)digits->chars);
        fg_jj_text_str(j, &all, digits);
        fg_jj_text_str(j, t, fg_jj_text_end(j, &all));
        return;
    }
    fg_jj_text_str(j, &all, digits);
    pad(j, t, fg_jj_text_end(j, &all), l, align);
}

static void lay_out_char(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v,
                         const struct fg_jj_layout *l)
{
    struct fg_jj_text one = {0};
    int64_t c = fg_jj_as_int(v);

    if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        fg_jj_raise(j, "%%c arg not in range(0x110000)");
    fg_jj_text_char(j, &one, (uint32_t)c, v.src);
    pad(j, t, fg_jj_text_end(j, &one), l, l->align ? l->align : '<');
}

void fg_jj_lay_out_number(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v,
                          const struct fg_jj_layout *l)
{
    struct digits *d = fg_jj_alloc(j, sizeof *d);
    bool integer = v.kind != FG_JJ_FLOAT && !(l->type && strchr("eEfFgG%", l->type));

    fg_jj_spend(j, 20);
    if (l->type == 'c' && fg_jj_is_integer(v)) {
        lay_out_char(j, t, v, l);
        return;
    }
    if (integer && v.kind == FG_JJ_BIGINT)
        fg_jj_raise(j, "an integer is larger than 64 bits");
    if (integer && l->precision >= 0)
        fg_jj_raise(j, "Precision not allowed in integer format specifier");
    if (integer)
        integer_digits(j, d, fg_jj_as_int(v), l);
    else
        float_digits(j, d, fg_jj_as_float(v), l);
    lay_out_digits(j, t, d, l, v.src);
}
