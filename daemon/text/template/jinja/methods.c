/* Methods of dicts, lists and strings. */
#include <string.h>

#include "function.h"
#include "text.h"
#include "unicode.h"

#define METHOD(name)                                                                               \
    static struct fg_jj_value name(struct fg_jj *j, struct fg_jj_value self,                       \
                                   const struct fg_jj_args *args)

/* --- dicts --- */

METHOD(dict_get)
{
    struct fg_jj_value *there = fg_jj_dict_get(j, self.dict, args->v[0]);

    if (there)
        return *there;
    return args->v[1].kind == FG_JJ_MISSING ? fg_jj_none() : args->v[1];
}

static struct fg_jj_value view(struct fg_jj *j, struct fg_jj_value self, const char *name, int what)
{
    struct fg_jj_list *l = fg_jj_list(j);
    struct fg_jj_value v = fg_jj_of_list(FG_JJ_VIEW, l);

    l->name = name;
    v.src = self.src;
    for (size_t i = 0; i < self.dict->n; i++) {
        const struct fg_jj_pair *p = &self.dict->pairs[i];
        struct fg_jj_list *pair;

        if (what < 2) {
            fg_jj_push(j, l, what ? p->value : p->key);
            continue;
        }
        pair = fg_jj_list(j);
        fg_jj_push(j, pair, p->key);
        fg_jj_push(j, pair, p->value);
        fg_jj_push(j, l, fg_jj_of_list(FG_JJ_TUPLE, pair));
    }
    return v;
}

METHOD(dict_keys)
{
    (void)args;
    return view(j, self, "dict_keys", 0);
}

METHOD(dict_values)
{
    (void)args;
    return view(j, self, "dict_values", 1);
}

METHOD(dict_items)
{
    (void)args;
    return view(j, self, "dict_items", 2);
}

METHOD(dict_copy)
{
    struct fg_jj_dict *d = fg_jj_dict(j);

    (void)args;
    for (size_t i = 0; i < self.dict->n; i++)
        fg_jj_dict_set(j, d, self.dict->pairs[i].key, self.dict->pairs[i].value);
    return (struct fg_jj_value){.kind = FG_JJ_DICT, .src = self.src, .dict = d};
}

const struct fg_jj_function fg_jj_dict_methods[] = {
    {"get", "key,default?", dict_get}, {"keys", "", dict_keys}, {"values", "", dict_values},
    {"items", "", dict_items},         {"copy", "", dict_copy}, {0}};

/* --- lists, tuples, ranges --- */

METHOD(list_count)
{
    struct fg_jj_list *l = fg_jj_items(j, self);
    int64_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += fg_jj_equal(j, l->v[i], args->v[0]);
    return fg_jj_int(n);
}

/* An index as slices take it. */
static size_t bound(struct fg_jj *j, struct fg_jj_value v, size_t otherwise, size_t n)
{
    int64_t i = fg_jj_opt_int(j, v, (int64_t)otherwise, "an index");

    if (i < 0)
        i = i < -(int64_t)n ? 0 : i + (int64_t)n;
    return (uint64_t)i > n ? n : (size_t)i;
}

METHOD(list_index)
{
    struct fg_jj_list *l = fg_jj_items(j, self);
    size_t to = bound(j, args->v[2], l->n, l->n);

    for (size_t i = bound(j, args->v[1], 0, l->n); i < to; i++) {
        if (fg_jj_equal(j, l->v[i], args->v[0]))
            return fg_jj_int((int64_t)i);
    }
    fg_jj_raise(j, "the value is not in the %s", fg_jj_type(self));
}

METHOD(list_copy)
{
    struct fg_jj_list *items = fg_jj_items(j, self), *l = fg_jj_list(j);

    (void)args;
    for (size_t i = 0; i < items->n; i++)
        fg_jj_push(j, l, items->v[i]);
    return (struct fg_jj_value){
        .kind = self.kind == FG_JJ_RANGE ? FG_JJ_LIST : self.kind, .src = self.src, .list = l};
}

const struct fg_jj_function fg_jj_list_methods[] = {{"count", "value", list_count},
                                                    {"index", "value,start?,stop?", list_index},
                                                    {"copy", "", list_copy},
                                                    {0}};

/* --- strings: finding --- */

/* Bytes [from, to) of self that the arguments after the first name. False where from lies behind
 * the end: nothing is found there, not even the empty string. */
static bool window(struct fg_jj *j, const struct fg_jj_str *s, const struct fg_jj_args *args,
                   size_t *from, size_t *to)
{
    size_t first = bound(j, args->v[1], 0, s->chars),
           last = bound(j, args->v[2], s->chars, s->chars);
    bool behind = fg_jj_given(args->v[1]) && fg_jj_as_int(args->v[1]) > (int64_t)s->chars;

    *from = fg_jj_str_offset(s, first);
    *to = fg_jj_str_offset(s, last);
    fg_jj_spend_bytes(j, s->n);
    return !behind && first <= last;
}

static int64_t find(struct fg_jj *j, struct fg_jj_value self, const struct fg_jj_args *args,
                    bool last)
{
    const struct fg_jj_str *needle = fg_jj_need_str(j, args->v[0], "what is looked for");
    size_t from, to, at = SIZE_MAX, chars = 0;

    if (window(j, self.s, args, &from, &to))
        at = last ? fg_jj_str_rfind(j, self.s, needle, from, to)
                  : fg_jj_str_find(j, self.s, needle, from, to);
    if (at == SIZE_MAX)
        return -1;
    for (size_t i = 0; i < at; chars++)
        fg_jj_next_char(self.s, &i);
    return (int64_t)chars;
}

METHOD(str_find)
{
    return fg_jj_int(find(j, self, args, false));
}

METHOD(str_rfind)
{
    return fg_jj_int(find(j, self, args, true));
}

static struct fg_jj_value index_of(struct fg_jj *j, int64_t at)
{
    if (at < 0)
        fg_jj_raise(j, "substring not found");
    return fg_jj_int(at);
}

METHOD(str_index)
{
    return index_of(j, find(j, self, args, false));
}

METHOD(str_rindex)
{
    return index_of(j, find(j, self, args, true));
}

METHOD(str_count)
{
    const struct fg_jj_str *needle = fg_jj_need_str(j, args->v[0], "what is counted");
    size_t from, to, at;
    int64_t n = 0;

    if (!window(j, self.s, args, &from, &to))
        return fg_jj_int(0);
    if (!needle->n) {
        for (n = 1; from < to; n++)
            fg_jj_next_char(self.s, &from);
        return fg_jj_int(n);
    }
    for (; (at = fg_jj_str_find(j, self.s, needle, from, to)) != SIZE_MAX; n++) {
        fg_jj_spend(j, 1);
        from = at + needle->n;
    }
    return fg_jj_int(n);
}

static bool has_end(const struct fg_jj_str *s, size_t from, size_t to, const struct fg_jj_str *end,
                    bool start)
{
    if (from > to || end->n > to - from)
        return false;
    return memcmp(s->p + (start ? from : to - end->n), end->p, end->n) == 0;
}

static struct fg_jj_value ends(struct fg_jj *j, struct fg_jj_value self,
                               const struct fg_jj_args *args, bool start)
{
    struct fg_jj_value what = args->v[0];
    size_t from, to;
    bool some = window(j, self.s, args, &from, &to);

    fg_jj_defined(j, what);
    if (what.kind == FG_JJ_STR)
        return fg_jj_bool(some && has_end(self.s, from, to, what.s, start));
    if (what.kind != FG_JJ_TUPLE)
        fg_jj_raise(j, "%swith first arg must be str or a tuple of str, not %s",
                    start ? "starts" : "ends", fg_jj_type(what));
    for (size_t i = 0; i < what.list->n; i++) {
        if (has_end(self.s, from, to, fg_jj_need_str(j, what.list->v[i], "a part"), start) && some)
            return fg_jj_bool(true);
    }
    return fg_jj_bool(false);
}

METHOD(str_startswith)
{
    return ends(j, self, args, true);
}

METHOD(str_endswith)
{
    return ends(j, self, args, false);
}

/* --- strings: what their characters are --- */

static struct fg_jj_value all(struct fg_jj_value self, bool (*is)(uint32_t c), bool of_none)
{
    for (size_t at = 0; at < self.s->n;) {
        if (!is(fg_jj_next_char(self.s, &at)))
            return fg_jj_bool(false);
    }
    return fg_jj_bool(self.s->n || of_none);
}

static bool is_alnum(uint32_t c)
{
    return c != '_' && fg_unicode_word(c);
}

static bool is_ascii(uint32_t c)
{
    return c < 0x80;
}

#define STR_IS(name, is, of_none)                                                                  \
    METHOD(str_##name)                                                                             \
    {                                                                                              \
        (void)args;                                                                                \
        fg_jj_spend_chars(j, self.s->n);                                                           \
        return all(self, is, of_none);                                                             \
    }

STR_IS(isalnum, is_alnum, false)
STR_IS(isalpha, fg_unicode_alpha, false)
STR_IS(isascii, is_ascii, true)
STR_IS(isdecimal, fg_unicode_decimal, false)
STR_IS(isdigit, fg_unicode_digit, false)
STR_IS(isnumeric, fg_unicode_numeric, false)
STR_IS(isprintable, fg_unicode_printable, true)
STR_IS(isspace, fg_unicode_space, false)

METHOD(str_islower)
{
    (void)args;
    return fg_jj_bool(fg_jj_is_lower(j, self.s));
}

METHOD(str_isupper)
{
    (void)args;
    return fg_jj_bool(fg_jj_is_upper(j, self.s));
}

METHOD(str_istitle)
{
    bool inside = false, some = false;

    (void)args;
    fg_jj_spend_chars(j, self.s->n);
    for (size_t at = 0; at < self.s->n;) {
        uint32_t c = fg_jj_next_char(self.s, &at);
        bool cased = fg_unicode_cased(c);

        if (cased && fg_unicode_lower(c) != inside)
            return fg_jj_bool(false);
        some |= cased;
        inside = cased;
    }
    return fg_jj_bool(some);
}

METHOD(str_isidentifier)
{
    size_t first = 0;

    (void)args;
    fg_jj_spend_chars(j, self.s->n);
    for (size_t at = 0; at < self.s->n;) {
        size_t from = at;
        uint32_t c = fg_jj_next_char(self.s, &at);

        if (c != '_' && !fg_unicode_alpha(c) && (from == first || !fg_unicode_decimal(c)))
            return fg_jj_bool(false);
    }
    return fg_jj_bool(self.s->n > 0);
}

const struct fg_jj_function fg_jj_str_methods[] = {
    {"find", "sub,start?,end?", str_find},
    {"rfind", "sub,start?,end?", str_rfind},
    {"index", "sub,start?,end?", str_index},
    {"rindex", "sub,start?,end?", str_rindex},
    {"count", "sub,start?,end?", str_count},
    {"startswith", "prefix,start?,end?", str_startswith},
    {"endswith", "suffix,start?,end?", str_endswith},
    {"isalnum", "", str_isalnum},
    {"isalpha", "", str_isalpha},
    {"isascii", "", str_isascii},
    {"isdecimal", "", str_isdecimal},
    {"isdigit", "", str_isdigit},
    {"isidentifier", "", str_isidentifier},
    {"islower", "", str_islower},
    {"isnumeric", "", str_isnumeric},
    {"isprintable", "", str_isprintable},
    {"isspace", "", str_isspace},
    {"istitle", "", str_istitle},
    {"isupper", "", str_isupper},
    {0}};
