/* Methods of strings that make new ones. */
#include <string.h>

#include "function.h"
#include "text.h"

#define METHOD(name)                                                                               \
    static struct fg_jj_value name(struct fg_jj *j, struct fg_jj_value self,                       \
                                   const struct fg_jj_args *args)

#define CASE(name)                                                                                 \
    METHOD(str_##name)                                                                             \
    {                                                                                              \
        (void)args;                                                                                \
        return fg_jj_of_str(fg_jj_##name(j, self.s));                                              \
    }

CASE(capitalize)
CASE(casefold)
CASE(lower)
CASE(swapcase)
CASE(title)
CASE(upper)

#define STRIP(name, left, right)                                                                   \
    METHOD(str_##name)                                                                             \
    {                                                                                              \
        return fg_jj_of_str(fg_jj_strip(                                                           \
            j, self.s, fg_jj_opt_str(j, args->v[0], "strip's argument"), left, right));            \
    }

STRIP(strip, true, true)
STRIP(lstrip, true, false)
STRIP(rstrip, false, true)

static struct fg_jj_value split(struct fg_jj *j, struct fg_jj_value self,
                                const struct fg_jj_args *args, bool right)
{
    const struct fg_jj_str *by = fg_jj_opt_str(j, args->v[0], "a separator");
    int64_t most =
        args->v[1].kind == FG_JJ_MISSING ? -1 : fg_jj_need_int(j, args->v[1], "maxsplit");
    struct fg_jj_list *l =
        right ? fg_jj_rsplit(j, self.s, by, most) : fg_jj_split(j, self.s, by, most);

    return fg_jj_of_list(FG_JJ_LIST, l);
}

METHOD(str_split)
{
    return split(j, self, args, false);
}

METHOD(str_rsplit)
{
    return split(j, self, args, true);
}

METHOD(str_splitlines)
{
    return fg_jj_of_list(FG_JJ_LIST, fg_jj_lines(j, self.s, fg_jj_opt_bool(args->v[0], false)));
}

static struct fg_jj_value partition(struct fg_jj *j, struct fg_jj_value self,
                                    const struct fg_jj_args *args, bool right)
{
    const struct fg_jj_str *by = fg_jj_need_str(j, args->v[0], "a separator"), *s = self.s;
    struct fg_jj_list *l = fg_jj_list(j);
    size_t at, end;

    if (!by->n)
        fg_jj_raise(j, "empty separator");
    at = right ? fg_jj_str_rfind(j, s, by, 0, s->n) : fg_jj_str_find(j, s, by, 0, s->n);
    if (at == SIZE_MAX) {
        at = right ? 0 : s->n;
        end = at;
    } else {
        end = at + by->n;
    }
    fg_jj_push(j, l, fg_jj_of_str(fg_jj_str_cut(j, s, 0, at)));
    fg_jj_push(j, l, fg_jj_of_str(fg_jj_str_cut(j, s, at, end)));
    fg_jj_push(j, l, fg_jj_of_str(fg_jj_str_cut(j, s, end, s->n)));
    return fg_jj_of_list(FG_JJ_TUPLE, l);
}

METHOD(str_partition)
{
    return partition(j, self, args, false);
}

METHOD(str_rpartition)
{
    return partition(j, self, args, true);
}

METHOD(str_replace)
{
    int64_t count =
        args->v[2].kind == FG_JJ_MISSING ? -1 : fg_jj_need_int(j, args->v[2], "a count");

    return fg_jj_of_str(fg_jj_replace(j, self.s, fg_jj_need_str(j, args->v[0], "what is replaced"),
                                      fg_jj_need_str(j, args->v[1], "what replaces it"), count));
}

METHOD(str_removeprefix)
{
    const struct fg_jj_str *p = fg_jj_need_str(j, args->v[0], "a prefix");
    bool there = self.s->n >= p->n && memcmp(self.s->p, p->p, p->n) == 0;

    return there ? fg_jj_of_str(fg_jj_str_cut(j, self.s, p->n, self.s->n)) : self;
}

METHOD(str_removesuffix)
{
    const struct fg_jj_str *p = fg_jj_need_str(j, args->v[0], "a suffix");
    size_t n = self.s->n - (self.s->n >= p->n ? p->n : 0);
    bool there = self.s->n >= p->n && memcmp(self.s->p + n, p->p, p->n) == 0;

    return there ? fg_jj_of_str(fg_jj_str_cut(j, self.s, 0, n)) : self;
}

METHOD(str_join)
{
    struct fg_jj_list *items;
    struct fg_jj_text t = {0};

    items = fg_jj_items(j, args->v[0]);
    for (size_t i = 0; i < items->n; i++) {
        if (items->v[i].kind != FG_JJ_STR) {
            fg_jj_defined(j, items->v[i]);
            fg_jj_raise(j, "sequence item %zu: expected str instance, %s found", i,
                        fg_jj_type(items->v[i]));
        }
        if (i)
            fg_jj_text_str(j, &t, self.s);
        fg_jj_text_str(j, &t, items->v[i].s);
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

static struct fg_jj_value pad(struct fg_jj *j, struct fg_jj_value self,
                              const struct fg_jj_args *args, int side)
{
    const struct fg_jj_str *fill = args->v[1].kind == FG_JJ_MISSING
                                       ? fg_jj_str_c(j, " ")
                                       : fg_jj_need_str(j, args->v[1], "a fill");

    if (fill->chars != 1)
        fg_jj_raise(j, "The fill character must be exactly one character long");
    return fg_jj_of_str(fg_jj_pad(j, self.s, fg_jj_need_int(j, args->v[0], "a width"), fill, side));
}

METHOD(str_center)
{
    return pad(j, self, args, 0);
}

METHOD(str_ljust)
{
    return pad(j, self, args, 1);
}

METHOD(str_rjust)
{
    return pad(j, self, args, -1);
}

METHOD(str_zfill)
{
    int64_t width = fg_jj_need_int(j, args->v[0], "a width");
    size_t sign = self.s->n && (self.s->p[0] == '-' || self.s->p[0] == '+');
    struct fg_jj_text t = {0};

    fg_jj_text_cut(j, &t, self.s, 0, sign);
    fg_jj_text_repeat(j, &t, fg_jj_str_c(j, "0"), width - (int64_t)self.s->chars);
    fg_jj_text_cut(j, &t, self.s, sign, self.s->n);
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

METHOD(str_expandtabs)
{
    int64_t size =
        args->v[0].kind == FG_JJ_MISSING ? 8 : fg_jj_need_int(j, args->v[0], "a tab's size");
    struct fg_jj_text t = {0};
    int64_t column = 0;

    for (size_t at = 0; at < self.s->n;) {
        size_t from = at;
        uint32_t c = fg_jj_next_char(self.s, &at);

        if (c == '\t') {
            int64_t n = size > 0 ? size - column % size : 0;

            fg_jj_text_repeat(j, &t, fg_jj_str(j, " ", 1, fg_jj_str_src(self.s, from)), n);
            column += n;
        } else {
            fg_jj_text_cut(j, &t, self.s, from, at);
            column = c == '\n' || c == '\r' ? 0 : column + 1;
        }
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

METHOD(str_format)
{
    return fg_jj_format(j, self.s, args);
}

METHOD(str_format_map)
{
    struct fg_jj_args all = {0};
    struct fg_jj_value d = args->v[0];

    if (d.kind != FG_JJ_DICT)
        fg_jj_raise(j, "format_map() needs a dict, not '%s'", fg_jj_type(d));
    all.keywords = fg_jj_alloc(j, d.dict->n * sizeof *all.keywords);
    for (size_t i = 0; i < d.dict->n; i++) {
        if (d.dict->pairs[i].key.kind != FG_JJ_STR)
            continue;
        all.keywords[all.n_keywords].name = d.dict->pairs[i].key.s;
        all.keywords[all.n_keywords++].value = d.dict->pairs[i].value;
    }
    return fg_jj_format(j, self.s, &all);
}

const struct fg_jj_function fg_jj_str_more_methods[] = {
    {"capitalize", "", str_capitalize},
    {"casefold", "", str_casefold},
    {"center", "width,fillchar?", str_center},
    {"expandtabs", "tabsize?", str_expandtabs},
    {"format", NULL, str_format},
    {"format_map", "mapping", str_format_map},
    {"join", "iterable", str_join},
    {"ljust", "width,fillchar?", str_ljust},
    {"lower", "", str_lower},
    {"lstrip", "chars?", str_lstrip},
    {"partition", "sep", str_partition},
    {"removeprefix", "prefix", str_removeprefix},
    {"removesuffix", "suffix", str_removesuffix},
    {"replace", "old,new,count?", str_replace},
    {"rjust", "width,fillchar?", str_rjust},
    {"rpartition", "sep", str_rpartition},
    {"rsplit", "sep?,maxsplit?", str_rsplit},
    {"rstrip", "chars?", str_rstrip},
    {"split", "sep?,maxsplit?", str_split},
    {"splitlines", "keepends?", str_splitlines},
    {"strip", "chars?", str_strip},
    {"swapcase", "", str_swapcase},
    {"title", "", str_title},
    {"upper", "", str_upper},
    {"zfill", "width", str_zfill},
    {0}};
