/* The method format() of strings. */
#include <string.h>

#include "format.h"
#include "function.h"
#include "text.h"

struct formatter {
    struct fg_jj *j;
    const struct fg_jj_args *args;
    size_t next;            /* of the positional arguments, for {} */
    bool counted, numbered; /* {} was used; {0} was used */
};

static struct fg_jj_value find_keyword(struct formatter *f, const struct fg_jj_str *name)
{
    for (size_t i = 0; i < f->args->n_keywords; i++) {
        if (fg_jj_str_eq(f->args->keywords[i].name, name))
            return f->args->keywords[i].value;
    }
    fg_jj_raise(f->j, "KeyError: '%.*s'", (int)name->n, name->p);
}

static bool is_number(const struct fg_jj_str *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
    }
    return s->n > 0 && s->n < 10;
}

static struct fg_jj_value argument(struct formatter *f, const struct fg_jj_str *name)
{
    size_t at = 0;

    if (name->n && !is_number(name))
        return find_keyword(f, name);
    f->counted |= !name->n;
    f->numbered |= name->n > 0;
    if (f->counted && f->numbered)
        fg_jj_raise(f->j, "cannot switch between manual field specification and automatic field "
                          "numbering");
    for (size_t i = 0; i < name->n; i++)
        at = at * 10 + (size_t)(name->p[i] - '0');
    if (!name->n)
        at = f->next++;
    if (at >= f->args->n)
        fg_jj_raise(f->j, "Replacement index %zu out of range for positional args tuple", at);
    return f->args->v[at];
}

/* .name and [key] behind an argument. */
static struct fg_jj_value follow(struct formatter *f, struct fg_jj_value v,
                                 const struct fg_jj_str *path)
{
    size_t at = 0;

    while (at < path->n) {
        bool bracket = path->p[at] == '[';
        size_t from = at + 1, to = from;
        const struct fg_jj_str *key;
        int64_t i = 0;

        if (!bracket && path->p[at] != '.')
            fg_jj_raise(f->j, "Only '.' or '[' may follow ']' in format field specifier");
        while (to < path->n && (bracket ? path->p[to] != ']' : !strchr(".[", path->p[to])))
            to++;
        if (from == to || (bracket && to == path->n))
            fg_jj_raise(f->j, "Empty attribute in format string");
        key = fg_jj_str_cut(f->j, path, from, to);
        at = to + bracket;
        if (!bracket) {
            v = fg_jj_attribute(f->j, v, key);
            continue;
        }
        for (size_t k = 0; is_number(key) && k < key->n; k++)
            i = i * 10 + (key->p[k] - '0');
        v = fg_jj_item(f->j, v, is_number(key) ? fg_jj_int(i) : fg_jj_of_str(key));
    }
    return v;
}

static void put(struct formatter *f, struct fg_jj_text *t, struct fg_jj_value v,
                const struct fg_jj_str *spec)
{
    struct fg_jj_layout l;

    if (!spec->n) {
        fg_jj_print(f->j, t, v);
        return;
    }
    fg_jj_layout_parse(f->j, spec, &l);
    if (v.kind == FG_JJ_STR)
        fg_jj_lay_out_str(f->j, t, v.s, &l);
    else if (fg_jj_is_number(v))
        fg_jj_lay_out_number(f->j, t, v, &l);
    else
        fg_jj_raise(f->j, "unsupported format string passed to %s.__format__", fg_jj_type(v));
}

static void run(struct formatter *f, struct fg_jj_text *t, const struct fg_jj_str *s,
                unsigned level);

/* Between the braces: name, !conversion, :spec. */
static void put_field(struct formatter *f, struct fg_jj_text *t, const struct fg_jj_str *s,
                      unsigned level)
{
    size_t name = 0, path, end, spec_at;
    struct fg_jj_text spec = {0}, text = {0};
    struct fg_jj_value v;

    for (end = 0; end < s->n && s->p[end] != '!' && s->p[end] != ':'; end++) {
        while (s->p[end] == '[' && end + 1 < s->n && s->p[end] != ']')
            end++;
    }
    while (name < end && s->p[name] != '.' && s->p[name] != '[')
        name++;
    path = name;
    v = follow(f, argument(f, fg_jj_str_cut(f->j, s, 0, path)), fg_jj_str_cut(f->j, s, path, end));
    spec_at = end;
    if (end < s->n && s->p[end] == '!') {
        char conversion = end + 1 < s->n ? s->p[end + 1] : '\0';

        if (conversion != 'r' && conversion != 's')
            fg_jj_raise(f->j, "Unknown conversion specifier");
        if (conversion == 'r')
            fg_jj_repr(f->j, &text, v);
        else
            fg_jj_print(f->j, &text, v);
        v = fg_jj_of_str(fg_jj_text_end(f->j, &text));
        spec_at = end + 2;
        if (spec_at < s->n && s->p[spec_at] != ':')
            fg_jj_raise(f->j, "expected ':' after conversion specifier");
    }
    if (spec_at < s->n)
        run(f, &spec, fg_jj_str_cut(f->j, s, spec_at + 1, s->n), level + 1);
    put(f, t, v, fg_jj_text_end(f->j, &spec));
}

/* The brace that closes the one at `open`. */
static size_t closing(struct fg_jj *j, const struct fg_jj_str *s, size_t open)
{
    size_t depth = 0;

    for (size_t i = open; i < s->n; i++) {
        depth += (s->p[i] == '{') - (size_t)(s->p[i] == '}');
        if (!depth)
            return i;
    }
    fg_jj_raise(j, "expected '}' before end of string");
}

static void run(struct formatter *f, struct fg_jj_text *t, const struct fg_jj_str *s,
                unsigned level)
{
    size_t plain = 0;

    if (level > 1)
        fg_jj_raise(f->j, "Max string recursion exceeded");
    for (size_t i = 0; i < s->n; i++) {
        bool twice = i + 1 < s->n && s->p[i + 1] == s->p[i];

        if (s->p[i] != '{' && s->p[i] != '}')
            continue;
        fg_jj_spend(f->j, 1);
        fg_jj_text_cut(f->j, t, s, plain, twice ? i + 1 : i);
        if (twice) {
            i++;
        } else if (s->p[i] == '}') {
            fg_jj_raise(f->j, "Single '}' encountered in format string");
        } else {
            size_t end = closing(f->j, s, i);

            put_field(f, t, fg_jj_str_cut(f->j, s, i + 1, end), level);
            i = end;
        }
        plain = i + 1;
    }
    fg_jj_text_cut(f->j, t, s, plain, s->n);
}

struct fg_jj_value fg_jj_format(struct fg_jj *j, const struct fg_jj_str *s,
                                const struct fg_jj_args *args)
{
    struct formatter f = {.j = j, .args = args};
    struct fg_jj_text t = {0};

    run(&f, &t, s, 0);
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}
