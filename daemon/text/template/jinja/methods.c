/* Methods of dicts, lists and strings. */
#include <string.h>

#include "function.h"
#include "text.h"
#include "unicode.h"

#define METHOD(name)                                                                               \
    static struct jj_value name(struct jj *j, struct jj_value self, const struct jj_args *args)

/* --- dicts --- */

METHOD(dict_get)
{
    struct jj_value *there = jj_dict_get(j, self.dict, args->v[0]);

    if (there)
        return *there;
    return args->v[1].kind == JJ_MISSING ? jj_none() : args->v[1];
}

static struct jj_value view(struct jj *j, struct jj_value self, const char *name, int what)
{
    struct jj_list *l = jj_list(j);
    struct jj_value v = jj_of_list(JJ_VIEW, l);

    l->name = name;
    v.src = self.src;
    for (size_t i = 0; i < self.dict->n; i++) {
        const struct jj_pair *p = &self.dict->pairs[i];
        struct jj_list *pair;

        if (what < 2) {
            jj_push(j, l, what ? p->value : p->key);
            continue;
        }
        pair = jj_list(j);
        jj_push(j, pair, p->key);
        jj_push(j, pair, p->value);
        jj_push(j, l, jj_of_list(JJ_TUPLE, pair));
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
    struct jj_dict *d = jj_dict(j);

    (void)args;
    for (size_t i = 0; i < self.dict->n; i++)
        jj_dict_set(j, d, self.dict->pairs[i].key, self.dict->pairs[i].value);
    return (struct jj_value){.kind = JJ_DICT, .src = self.src, .dict = d};
}

const struct jj_function jj_dict_methods[] = {
    {"get", "key,default?", dict_get}, {"keys", "", dict_keys}, {"values", "", dict_values},
    {"items", "", dict_items},         {"copy", "", dict_copy}, {0}};

/* --- lists, tuples, ranges --- */

METHOD(list_count)
{
    struct jj_list *l = jj_items(j, self);
    int64_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += jj_equal(j, l->v[i], args->v[0]);
    return jj_int(n);
}

/* An index as slices take it. */
static size_t bound(struct jj *j, struct jj_value v, size_t otherwise, size_t n)
{
    int64_t i = jj_opt_int(j, v, (int64_t)otherwise, "an index");

    if (i < 0)
        i = i < -(int64_t)n ? 0 : i + (int64_t)n;
    return (uint64_t)i > n ? n : (size_t)i;
}

METHOD(list_index)
{
    struct jj_list *l = jj_items(j, self);
    size_t to = bound(j, args->v[2], l->n, l->n);

    for (size_t i = bound(j, args->v[1], 0, l->n); i < to; i++) {
        if (jj_equal(j, l->v[i], args->v[0]))
            return jj_int((int64_t)i);
    }
    jj_raise(j, "the value is not in the %s", jj_type(self));
}

METHOD(list_copy)
{
    struct jj_list *items = jj_items(j, self), *l = jj_list(j);

    (void)args;
    for (size_t i = 0; i < items->n; i++)
        jj_push(j, l, items->v[i]);
    return (struct jj_value){
        .kind = self.kind == JJ_RANGE ? JJ_LIST : self.kind, .src = self.src, .list = l};
}

const struct jj_function jj_list_methods[] = {{"count", "value", list_count},
                                              {"index", "value,start?,stop?", list_index},
                                              {"copy", "", list_copy},
                                              {0}};

/* --- strings: finding --- */

/* Bytes [from, to) of self that the arguments after the first name. False where from lies behind
 * the end: nothing is found there, not even the empty string. */
static bool window(struct jj *j, const struct jj_str *s, const struct jj_args *args, size_t *from,
                   size_t *to)
{
    size_t first = bound(j, args->v[1], 0, s->chars),
           last = bound(j, args->v[2], s->chars, s->chars);
    bool behind = jj_given(args->v[1]) && jj_as_int(args->v[1]) > (int64_t)s->chars;

    *from = jj_str_offset(s, first);
    *to = jj_str_offset(s, last);
    jj_spend_bytes(j, s->n);
    return !behind && first <= last;
}

static int64_t find(struct jj *j, struct jj_value self, const struct jj_args *args, bool last)
{
    const struct jj_str *needle = jj_need_str(j, args->v[0], "what is looked for");
    size_t from, to, at = SIZE_MAX, chars = 0;

    if (window(j, self.s, args, &from, &to))
        at = last ? jj_str_rfind(j, self.s, needle, from, to)
                  : jj_str_find(j, self.s, needle, from, to);
    if (at == SIZE_MAX)
        return -1;
    for (size_t i = 0; i < at; chars++)
        jj_next_char(self.s, &i);
    return (int64_t)chars;
}

METHOD(str_find)
{
    return jj_int(find(j, self, args, false));
}

METHOD(str_rfind)
{
    return jj_int(find(j, self, args, true));
}

static struct jj_value index_of(struct jj *j, int64_t at)
{
    if (at < 0)
        jj_raise(j, "substring not found");
    return jj_int(at);
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
    const struct jj_str *needle = jj_need_str(j, args->v[0], "what is counted");
    size_t from, to, at;
    int64_t n = 0;

    if (!window(j, self.s, args, &from, &to))
        return jj_int(0);
    if (!needle->n) {
        for (n = 1; from < to; n++)
            jj_next_char(self.s, &from);
        return jj_int(n);
    }
    for (; (at = jj_str_find(j, self.s, needle, from, to)) != SIZE_MAX; n++) {
        jj_spend(j, 1);
        from = at + needle->n;
    }
    return jj_int(n);
}

static bool has_end(const struct jj_str *s, size_t from, size_t to, const struct jj_str *end,
                    bool start)
{
    if (from > to || end->n > to - from)
        return false;
    return memcmp(s->p + (start ? from : to - end->n), end->p, end->n) == 0;
}

static struct jj_value ends(struct jj *j, struct jj_value self, const struct jj_args *args,
                            bool start)
{
    struct jj_value what = args->v[0];
    size_t from, to;
    bool some = window(j, self.s, args, &from, &to);

    jj_defined(j, what);
    if (what.kind == JJ_STR)
        return jj_bool(some && has_end(self.s, from, to, what.s, start));
    if (what.kind != JJ_TUPLE)
        jj_raise(j, "%swith first arg must be str or a tuple of str, not %s",
                 start ? "starts" : "ends", jj_type(what));
    for (size_t i = 0; i < what.list->n; i++) {
        if (has_end(self.s, from, to, jj_need_str(j, what.list->v[i], "a part"), start) && some)
            return jj_bool(true);
    }
    return jj_bool(false);
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

static struct jj_value all(struct jj_value self, bool (*is)(uint32_t c), bool of_none)
{
    for (size_t at = 0; at < self.s->n;) {
        if (!is(jj_next_char(self.s, &at)))
            return jj_bool(false);
    }
    return jj_bool(self.s->n || of_none);
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
        jj_spend_chars(j, self.s->n);                                                              \
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
    return jj_bool(jj_is_lower(j, self.s));
}

METHOD(str_isupper)
{
    (void)args;
    return jj_bool(jj_is_upper(j, self.s));
}

METHOD(str_istitle)
{
    bool inside = false, some = false;

    (void)args;
    jj_spend_chars(j, self.s->n);
    for (size_t at = 0; at < self.s->n;) {
        uint32_t c = jj_next_char(self.s, &at);
        bool cased = fg_unicode_cased(c);

        if (cased && fg_unicode_lower(c) != inside)
            return jj_bool(false);
        some |= cased;
        inside = cased;
    }
    return jj_bool(some);
}

METHOD(str_isidentifier)
{
    size_t first = 0;

    (void)args;
    jj_spend_chars(j, self.s->n);
    for (size_t at = 0; at < self.s->n;) {
        size_t from = at;
        uint32_t c = jj_next_char(self.s, &at);

        if (c != '_' && !fg_unicode_alpha(c) && (from == first || !fg_unicode_decimal(c)))
            return jj_bool(false);
    }
    return jj_bool(self.s->n > 0);
}

const struct jj_function jj_str_methods[] = {{"find", "sub,start?,end?", str_find},
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
