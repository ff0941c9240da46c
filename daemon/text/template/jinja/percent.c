/* The operator % of strings. */
#include <math.h>
#include <string.h>

#include "format.h"
#include "text.h"

struct percent {
    struct fg_jj *j;
    const struct fg_jj_str *s;
    size_t at;
    struct fg_jj_value values;
    size_t next; /* of a tuple; of another value: 1 once it was used */
    struct fg_jj_value mapped;
    bool by_key;
};

static struct fg_jj_value next_value(struct percent *p)
{
    if (p->by_key)
        return p->mapped;
    if (p->values.kind == FG_JJ_TUPLE && p->next < p->values.list->n)
        return p->values.list->v[p->next++];
    if (p->values.kind != FG_JJ_TUPLE && !p->next++)
        return p->values;
    fg_jj_raise(p->j, "not enough arguments for format string");
}

/* Behind a %: the name in parentheses, if there is one. */
static void read_key(struct percent *p)
{
    size_t from = p->at + 1, depth = 1;
    struct fg_jj_value *there;

    p->by_key = false;
    if (p->at == p->s->n || p->s->p[p->at] != '(')
        return;
    if (p->values.kind != FG_JJ_DICT)
        fg_jj_raise(p->j, "format requires a mapping");
    for (p->at = from; p->at < p->s->n && depth; p->at++)
        depth += (p->s->p[p->at] == '(') - (size_t)(p->s->p[p->at] == ')');
    if (depth)
        fg_jj_raise(p->j, "incomplete format key");
    there = fg_jj_dict_find(p->j, p->values.dict, fg_jj_str_cut(p->j, p->s, from, p->at - 1));
    if (!there)
        fg_jj_raise(p->j, "KeyError: '%.*s'", (int)(p->at - 1 - from), p->s->p + from);
    p->by_key = true;
    p->mapped = *there;
}

static int64_t read_number(struct percent *p)
{
    int64_t n = 0;

    if (p->at < p->s->n && p->s->p[p->at] == '*') {
        p->at++;
        return fg_jj_need_int(p->j, next_value(p), "a width");
    }
    for (; p->at < p->s->n && p->s->p[p->at] >= '0' && p->s->p[p->at] <= '9'; p->at++) {
        n = n * 10 + (p->s->p[p->at] - '0');
        if (n > INT32_MAX)
            fg_jj_raise(p->j, "width too big");
    }
    return n;
}

static void read_flags(struct percent *p, struct fg_jj_layout *l)
{
    for (; p->at < p->s->n; p->at++) {
        switch (p->s->p[p->at]) {
        case '-': l->align = '<'; continue;
        case '+': l->sign = '+'; continue;
        case ' ': l->sign = l->sign ? l->sign : ' '; continue;
        case '#': l->alternate = true; continue;
        case '0': l->zero = true; continue;
        default: return;
        }
    }
}

static void read_layout(struct percent *p, struct fg_jj_layout *l)
{
    *l = (struct fg_jj_layout){.precision = -1};
    read_key(p);
    read_flags(p, l);
    l->width = read_number(p);
    if (l->width < 0) {
        l->align = '<';
        l->width = l->width < -INT32_MAX ? INT32_MAX : -l->width;
    }
    if (p->at < p->s->n && p->s->p[p->at] == '.') {
        p->at++;
        l->precision = read_number(p);
        l->precision = l->precision < 0 ? 0 : l->precision;
    }
    while (p->at < p->s->n && strchr("hlL", p->s->p[p->at]) && p->s->p[p->at])
        p->at++;
    if (p->at == p->s->n)
        fg_jj_raise(p->j, "incomplete format");
    l->type = p->s->p[p->at++];
    l->zero = l->zero && l->align != '<';
}

static void print_text(struct percent *p, struct fg_jj_text *t, struct fg_jj_layout *l)
{
    struct fg_jj_value v = next_value(p);
    struct fg_jj_text one = {0};

    if (l->type == 's')
        fg_jj_print(p->j, &one, v);
    else
        fg_jj_repr(p->j, &one, v);
    l->type = 's';
    l->sign = '\0';
    l->alternate = false;
    l->align = l->align ? l->align : '>';
    l->fill = fg_jj_str_c(p->j, " ");
    fg_jj_lay_out_str(p->j, t, fg_jj_text_end(p->j, &one), l);
}

static void print_integer(struct percent *p, struct fg_jj_text *t, struct fg_jj_layout *l)
{
    struct fg_jj_value v = next_value(p);
    bool decimal = l->type == 'd' || l->type == 'i' || l->type == 'u';

    fg_jj_defined(p->j, v);
    if (!fg_jj_is_number(v) || (!decimal && v.kind == FG_JJ_FLOAT))
        fg_jj_raise(p->j, "%%%c format: a number is required, not %s", l->type, fg_jj_type(v));
    if (v.kind == FG_JJ_FLOAT) {
        if (!(fabs(v.f) < 0x1p63))
            fg_jj_raise(p->j, "an integer is larger than 64 bits");
        v = (struct fg_jj_value){.kind = FG_JJ_INT, .src = v.src, .i = (int64_t)v.f};
    }
    l->type = decimal ? 'd' : l->type;
    if (l->precision >= 0) { /* so many digits at least */
        int64_t digits = l->precision;

        if (digits > 1000)
            fg_jj_raise(p->j, "precision too big");
        if (!l->width && !l->sign && fg_jj_is_integer(v)) {
            l->zero = true;
            l->width = digits + (fg_jj_as_int(v) < 0);
        }
        l->precision = -1;
    }
    l->fill = fg_jj_str_c(p->j, l->zero ? "0" : " ");
    fg_jj_lay_out_number(p->j, t, v, l);
}

static void print_float(struct percent *p, struct fg_jj_text *t, struct fg_jj_layout *l)
{
    struct fg_jj_value v = next_value(p);

    fg_jj_defined(p->j, v);
    if (!fg_jj_is_number(v))
        fg_jj_raise(p->j, "must be real number, not %s", fg_jj_type(v));
    l->fill = fg_jj_str_c(p->j, l->zero ? "0" : " ");
    fg_jj_lay_out_number(p->j, t, v, l);
}

static void print_char(struct percent *p, struct fg_jj_text *t, struct fg_jj_layout *l)
{
    struct fg_jj_value v = next_value(p);

    l->fill = fg_jj_str_c(p->j, " ");
    l->align = l->align ? l->align : '>';
    l->precision = -1;
    if (v.kind == FG_JJ_STR && v.s->chars == 1) {
        l->type = 's';
        l->sign = '\0';
        l->alternate = false;
        fg_jj_lay_out_str(p->j, t, v.s, l);
    } else if (fg_jj_is_integer(v)) {
        fg_jj_lay_out_number(p->j, t, v, l);
    } else {
        fg_jj_raise(p->j, "%%c requires int or char");
    }
}

static void print_one(struct percent *p, struct fg_jj_text *t)
{
    struct fg_jj_layout l;

    if (p->at < p->s->n && p->s->p[p->at] == '%') {
        fg_jj_text_cut(p->j, t, p->s, p->at, p->at + 1);
        p->at++;
        return;
    }
    read_layout(p, &l);
    switch (l.type) {
    case 's':
    case 'r':
    case 'a': print_text(p, t, &l); break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': print_integer(p, t, &l); break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': print_float(p, t, &l); break;
    case 'c': print_char(p, t, &l); break;
    default: fg_jj_raise(p->j, "unsupported format character at index %zu", p->at - 1);
    }
}

struct fg_jj_value fg_jj_percent(struct fg_jj *j, const struct fg_jj_str *s,
                                 struct fg_jj_value values)
{
    struct percent p = {.j = j, .s = s, .values = values};
    struct fg_jj_text t = {0};
    bool left;

    while (p.at < s->n) {
        const char *found = memchr(s->p + p.at, '%', s->n - p.at);
        size_t to = found ? (size_t)(found - s->p) : s->n;

        fg_jj_spend(j, 1);
        fg_jj_text_cut(j, &t, s, p.at, to);
        p.at = to;
        if (found) {
            p.at++;
            print_one(&p, &t);
        }
    }
    /* What has items might have been asked for them. */
    left = values.kind == FG_JJ_TUPLE
               ? p.next < values.list->n
               : !p.next && values.kind != FG_JJ_DICT && values.kind != FG_JJ_LIST &&
                     values.kind != FG_JJ_RANGE && values.kind != FG_JJ_UNDEFINED;
    if (left)
        fg_jj_raise(j, "not all arguments converted during string formatting");
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}
