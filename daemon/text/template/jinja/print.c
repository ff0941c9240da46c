#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unicode.h"
#include "value.h"

/* The digits of the shortest number that reads back as x, and its decimal exponent. */
static size_t shortest(double x, char digits[20], int *exponent)
{
    char text[40];
    size_t n = 0;
    int precision = 0;

    do {
        snprintf(text, sizeof text, "%.*e", precision, x);
    } while (strtod(text, NULL) != x && ++precision < 17);
    for (const char *p = text; *p != 'e' && n < 19; p++) {
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    }
    digits[n] = '\0';
    *exponent = atoi(strchr(text, 'e') + 1);
    return n;
}

/* An exponent below -4 and from 16 on, otherwise a point with at least one digit behind it. */
void fg_jj_float_text(double x, char out[40])
{
    char digits[20], *p = out;
    int exponent;
    size_t n;

    if (!isfinite(x)) {
        strcpy(out, isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
        return;
    }
    if (signbit(x))
        *p++ = '-';
    n = shortest(fabs(x), digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        sprintf(p, "%c%s%se%c%02d", digits[0], n > 1 ? "." : "", digits + 1,
                exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        p += sprintf(p, "0.");
        while (++exponent < 0)
            *p++ = '0';
        strcpy(p, digits);
        return;
    }
    for (size_t i = 0; i < n || i <= (size_t)exponent + 1; i++) {
        if (i == (size_t)exponent + 1)
            *p++ = '.';
        *p++ = i < n ? digits[i] : '0';
    }
    *p = '\0';
}

static void print_number(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v)
{
    char text[40];

    if (v.text) {
        fg_jj_text_add(j, t, v.text->p, v.text->n, v.src);
        return;
    }
    fg_jj_spend(j, 20);
    if (v.kind == FG_JJ_INT)
        snprintf(text, sizeof text, "%lld", (long long)v.i);
    else
        fg_jj_float_text(v.f, text);
    fg_jj_text_c(j, t, text, v.src);
}

static void repr_char(struct fg_jj *j, struct fg_jj_text *t, uint32_t c, uint32_t src)
{
    char escape[12];

    if (c == '\n' || c == '\r' || c == '\t')
        snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c < 0x100)
        snprintf(escape, sizeof escape, "\\x%02x", (unsigned)c);
    else if (c < 0x10000)
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
    else
        snprintf(escape, sizeof escape, "\\U%08x", (unsigned)c);
    fg_jj_text_c(j, t, escape, src);
}

static void repr_str(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s)
{
    bool single = memchr(s->p, '\'', s->n), twice = memchr(s->p, '"', s->n);
    char quote[2] = {single && !twice ? '"' : '\'', '\0'};
    uint32_t src = fg_jj_str_one_src(s);
    size_t plain = 0;

    fg_jj_spend_chars(j, s->n);
    fg_jj_text_c(j, t, s->markup ? "Markup(" : "", src);
    fg_jj_text_c(j, t, quote, src);
    for (size_t at = 0; at < s->n;) {
        size_t from = at;
        uint32_t c = fg_jj_next_char(s, &at);

        if (c != '\\' && c != (unsigned char)quote[0] && fg_unicode_printable(c))
            continue;
        fg_jj_text_cut(j, t, s, plain, from);
        plain = at;
        if (c == '\\' || c == (unsigned char)quote[0]) {
            fg_jj_text_c(j, t, "\\", fg_jj_str_src(s, from));
            fg_jj_text_cut(j, t, s, from, at);
        } else {
            repr_char(j, t, c, fg_jj_str_src(s, from));
        }
    }
    fg_jj_text_cut(j, t, s, plain, s->n);
    fg_jj_text_c(j, t, quote, src);
    fg_jj_text_c(j, t, s->markup ? ")" : "", src);
}

static void repr_list(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v)
{
    bool tuple = v.kind == FG_JJ_TUPLE;

    fg_jj_text_c(j, t, tuple ? "(" : "[", v.src);
    for (size_t i = 0; i < v.list->n; i++) {
        fg_jj_text_c(j, t, i ? ", " : "", v.src);
        fg_jj_repr(j, t, v.list->v[i]);
    }
    fg_jj_text_c(j, t, !tuple ? "]" : v.list->n == 1 ? ",)" : ")", v.src);
}

static void repr_dict(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v)
{
    fg_jj_text_c(j, t, v.kind == FG_JJ_NAMESPACE ? "<Namespace {" : "{", v.src);
    for (size_t i = 0; i < v.dict->n; i++) {
        fg_jj_text_c(j, t, i ? ", " : "", v.src);
        fg_jj_repr(j, t, v.dict->pairs[i].key);
        fg_jj_text_c(j, t, ": ", v.src);
        fg_jj_repr(j, t, v.dict->pairs[i].value);
    }
    fg_jj_text_c(j, t, v.kind == FG_JJ_NAMESPACE ? "}>" : "}", v.src);
}

static void repr_view(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v)
{
    fg_jj_text_c(j, t, v.list->name, v.src);
    fg_jj_text_c(j, t, "(", v.src);
    repr_list(j, t, v);
    fg_jj_text_c(j, t, ")", v.src);
}

static void repr_range(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_range *r)
{
    char text[80];

    if (r->step == 1)
        snprintf(text, sizeof text, "range(%lld, %lld)", (long long)r->start, (long long)r->stop);
    else
        snprintf(text, sizeof text, "range(%lld, %lld, %lld)", (long long)r->start,
                 (long long)r->stop, (long long)r->step);
    fg_jj_text_c(j, t, text, 0);
}

static void repr_container(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v)
{
    fg_jj_enter(j);
    if (v.kind == FG_JJ_VIEW)
        repr_view(j, t, v);
    else if (v.kind == FG_JJ_DICT || v.kind == FG_JJ_NAMESPACE)
        repr_dict(j, t, v);
    else
        repr_list(j, t, v);
    fg_jj_leave(j);
}

void fg_jj_repr(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v)
{
    fg_jj_spend(j, 1);
    switch (v.kind) {
    case FG_JJ_NONE: fg_jj_text_c(j, t, "None", v.src); break;
    case FG_JJ_BOOL: fg_jj_text_c(j, t, v.b ? "True" : "False", v.src); break;
    case FG_JJ_INT:
    case FG_JJ_BIGINT:
    case FG_JJ_FLOAT: print_number(j, t, v); break;
    case FG_JJ_STR: repr_str(j, t, v.s); break;
    case FG_JJ_LIST:
    case FG_JJ_TUPLE:
    case FG_JJ_DICT:
    case FG_JJ_NAMESPACE:
    case FG_JJ_VIEW: repr_container(j, t, v); break;
    case FG_JJ_RANGE: repr_range(j, t, v.range); break;
    case FG_JJ_MISSING:
    case FG_JJ_UNDEFINED: fg_jj_text_c(j, t, "Undefined", 0); break;
    default: /* Python prints an address here */
        fg_jj_text_c(j, t, "<", 0);
        fg_jj_text_c(j, t, fg_jj_type(v), 0);
        fg_jj_text_c(j, t, ">", 0);
    }
}

void fg_jj_print(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v)
{
    if (v.kind == FG_JJ_STR)
        fg_jj_text_str(j, t, v.s);
    else if (v.kind != FG_JJ_UNDEFINED)
        fg_jj_repr(j, t, v);
}

const struct fg_jj_str *fg_jj_to_str(struct fg_jj *j, struct fg_jj_value v)
{
    struct fg_jj_text t = {0};

    if (v.kind == FG_JJ_STR)
        return v.s;
    fg_jj_print(j, &t, v);
    return fg_jj_text_end(j, &t);
}
