#include <string.h>

#include "filters.h"
#include "json.h"
#include "text.h"
#include "unicode.h"

FG_JJ_FILTER(upper)
{
    (void)args;
    return fg_jj_of_str(fg_jj_upper(j, fg_jj_to_str(j, self)));
}

FG_JJ_FILTER(lower)
{
    (void)args;
    return fg_jj_of_str(fg_jj_lower(j, fg_jj_to_str(j, self)));
}

FG_JJ_FILTER(capitalize)
{
    (void)args;
    return fg_jj_of_str(fg_jj_capitalize(j, fg_jj_to_str(j, self)));
}

static bool begins_word(uint32_t c)
{
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || fg_unicode_space(c);
}

/* Jinja's own title: words begin behind white space, dashes and brackets. */
FG_JJ_FILTER(title)
{
    const struct fg_jj_str *s = fg_jj_to_str(j, self);
    struct fg_jj_text t = {0};
    bool first = true;

    (void)args;
    for (size_t at = 0; at < s->n;) {
        size_t from = at;
        bool begins = begins_word(fg_jj_next_char(s, &at));

        if (first && !begins)
            fg_jj_text_upper(j, &t, s, from, at);
        else
            fg_jj_text_lower(j, &t, s, from, at);
        first = begins;
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

FG_JJ_FILTER(trim)
{
    return fg_jj_of_str(fg_jj_strip(j, fg_jj_to_str(j, self),
                                    fg_jj_opt_str(j, args->v[0], "trim's argument"), true, true));
}

FG_JJ_FILTER(replace)
{
    const struct fg_jj_str *s = fg_jj_to_str(j, self);

    return fg_jj_of_str(fg_jj_replace(j, s, fg_jj_to_str(j, args->v[0]),
                                      fg_jj_to_str(j, args->v[1]),
                                      fg_jj_opt_int(j, args->v[2], -1, "replace's count")));
}

FG_JJ_FILTER(center)
{
    int64_t width =
        args->v[0].kind == FG_JJ_MISSING ? 80 : fg_jj_need_int(j, args->v[0], "a width");

    return fg_jj_of_str(fg_jj_pad(j, fg_jj_to_str(j, self), width, fg_jj_str_c(j, " "), 0));
}

FG_JJ_FILTER(string)
{
    (void)args;
    return fg_jj_of_str(fg_jj_to_str(j, self));
}

static struct fg_jj_value marked(struct fg_jj *j, const struct fg_jj_str *s)
{
    struct fg_jj_str *m = (struct fg_jj_str *)fg_jj_alloc(j, sizeof *m);

    *m = *s;
    m->markup = true;
    return fg_jj_of_str(m);
}

FG_JJ_FILTER(safe)
{
    (void)args;
    return marked(j, fg_jj_to_str(j, self));
}

const struct fg_jj_str *fg_jj_escape(struct fg_jj *j, const struct fg_jj_str *s)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    struct fg_jj_text t = {0};
    size_t plain = 0;

    if (s->markup)
        return s;
    fg_jj_spend_chars(j, s->n);
    for (size_t i = 0; i < s->n; i++) {
        const char *found = memchr(from, s->p[i], sizeof from - 1);

        if (!found)
            continue;
        fg_jj_text_cut(j, &t, s, plain, i);
        fg_jj_text_c(j, &t, to[found - from], fg_jj_str_src(s, i));
        plain = i + 1;
    }
    fg_jj_text_cut(j, &t, s, plain, s->n);
    return marked(j, fg_jj_text_end(j, &t)).s;
}

FG_JJ_FILTER(escape)
{
    (void)args;
    return fg_jj_of_str(fg_jj_escape(j, fg_jj_to_str(j, self)));
}

FG_JJ_FILTER(forceescape)
{
    struct fg_jj_str plain = *fg_jj_to_str(j, self);

    (void)args;
    plain.markup = false;
    return fg_jj_of_str(fg_jj_escape(j, &plain));
}

FG_JJ_FILTER(format)
{
    const struct fg_jj_str *s = fg_jj_to_str(j, self);
    struct fg_jj_dict *d = fg_jj_dict(j);
    struct fg_jj_list *l = fg_jj_list(j);

    if (args->n && args->n_keywords)
        fg_jj_raise(j, "can't handle positional and keyword arguments at the same time");
    for (size_t i = 0; i < args->n_keywords; i++)
        fg_jj_dict_set(j, d, fg_jj_of_str(args->keywords[i].name), args->keywords[i].value);
    for (size_t i = 0; i < args->n; i++)
        fg_jj_push(j, l, args->v[i]);
    return fg_jj_percent(j, s, args->n_keywords ? fg_jj_of_dict(d) : fg_jj_of_list(FG_JJ_TUPLE, l));
}

static const struct fg_jj_str *json_indent(struct fg_jj *j, struct fg_jj_value v)
{
    struct fg_jj_text t = {0};

    if (!fg_jj_given(v))
        return NULL;
    if (v.kind == FG_JJ_STR)
        return v.s;
    fg_jj_text_repeat(j, &t, fg_jj_str_c(j, " "), fg_jj_need_int(j, v, "tojson's indent"));
    return fg_jj_text_end(j, &t);
}

FG_JJ_FILTER(tojson)
{
    struct fg_jj_json_style style = {.ascii = fg_jj_opt_bool(args->v[0], false),
                                     .sorted = fg_jj_opt_bool(args->v[3], false),
                                     .indent = json_indent(j, args->v[1]),
                                     .after_key = fg_jj_str_c(j, ": ")};
    struct fg_jj_text t = {0};
    struct fg_jj_list *pair;

    style.between = fg_jj_str_c(j, style.indent ? "," : ", ");
    if (fg_jj_given(args->v[2])) {
        pair = fg_jj_items(j, args->v[2]);
        if (pair->n != 2)
            fg_jj_raise(j, "tojson's separators are two");
        style.between = fg_jj_need_str(j, pair->v[0], "a separator");
        style.after_key = fg_jj_need_str(j, pair->v[1], "a separator");
    }
    fg_jj_write_json(j, &t, self, &style);
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

FG_JJ_FILTER(wordcount)
{
    const struct fg_jj_str *s = fg_jj_to_str(j, self);
    int64_t words = 0;
    bool inside = false;

    (void)args;
    fg_jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n;) {
        bool word = fg_unicode_word(fg_jj_next_char(s, &at));

        words += word && !inside;
        inside = word;
    }
    return fg_jj_int(words);
}

/* Without what stands between `open` and `close`. */
static const struct fg_jj_str *cut_out(struct fg_jj *j, const struct fg_jj_str *s, const char *open,
                                       const char *close)
{
    const struct fg_jj_str *from = fg_jj_str_c(j, open), *to = fg_jj_str_c(j, close);
    struct fg_jj_text t = {0};
    size_t at = 0, begin, end;

    while ((begin = fg_jj_str_find(j, s, from, at, s->n)) != SIZE_MAX) {
        end = fg_jj_str_find(j, s, to, begin, s->n);
        if (end == SIZE_MAX)
            break;
        fg_jj_text_cut(j, &t, s, at, begin);
        at = end + to->n;
    }
    fg_jj_text_cut(j, &t, s, at, s->n);
    return fg_jj_text_end(j, &t);
}

FG_JJ_FILTER(striptags)
{
    static const char *const entities[][2] = {
        {"&lt;", "<"},  {"&gt;", ">"},   {"&quot;", "\""},     {"&#34;", "\""},
        {"&#39;", "'"}, {"&apos;", "'"}, {"&nbsp;", "\u00a0"}, {"&amp;", "&"}};
    const struct fg_jj_str *s = cut_out(j, fg_jj_to_str(j, self), "<!--", "-->");
    struct fg_jj_list *words = fg_jj_split(j, cut_out(j, s, "<", ">"), NULL, -1);
    struct fg_jj_text t = {0};

    (void)args;
    for (size_t i = 0; i < words->n; i++) {
        fg_jj_text_c(j, &t, i ? " " : "", fg_jj_str_one_src(words->v[i].s));
        fg_jj_text_str(j, &t, words->v[i].s);
    }
    s = fg_jj_text_end(j, &t);
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        const struct fg_jj_str *to =
            fg_jj_str(j, entities[i][1], strlen(entities[i][1]), fg_jj_str_one_src(s));

        s = fg_jj_replace(j, s, fg_jj_str_c(j, entities[i][0]), to, -1);
    }
    return fg_jj_of_str(s);
}
