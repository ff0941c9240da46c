#include <string.h>

#include "filters.h"
#include "json.h"
#include "text.h"
#include "unicode.h"

JJ_FILTER(upper)
{
    (void)args;
    return jj_of_str(jj_upper(j, jj_to_str(j, self)));
}

JJ_FILTER(lower)
{
    (void)args;
    return jj_of_str(jj_lower(j, jj_to_str(j, self)));
}

JJ_FILTER(capitalize)
{
    (void)args;
    return jj_of_str(jj_capitalize(j, jj_to_str(j, self)));
}

static bool begins_word(uint32_t c)
{
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || fg_unicode_space(c);
}

/* Jinja's own title: words begin behind white space, dashes and brackets. */
JJ_FILTER(title)
{
    const struct jj_str *s = jj_to_str(j, self);
    struct jj_text t = {0};
    bool first = true;

    (void)args;
    for (size_t at = 0; at < s->n;) {
        size_t from = at;
        bool begins = begins_word(jj_next_char(s, &at));

        if (first && !begins)
            jj_text_upper(j, &t, s, from, at);
        else
            jj_text_lower(j, &t, s, from, at);
        first = begins;
    }
    return jj_of_str(jj_text_end(j, &t));
}

JJ_FILTER(trim)
{
    return jj_of_str(
        jj_strip(j, jj_to_str(j, self), jj_opt_str(j, args->v[0], "trim's argument"), true, true));
}

JJ_FILTER(replace)
{
    const struct jj_str *s = jj_to_str(j, self);

    return jj_of_str(jj_replace(j, s, jj_to_str(j, args->v[0]), jj_to_str(j, args->v[1]),
                                jj_opt_int(j, args->v[2], -1, "replace's count")));
}

JJ_FILTER(center)
{
    int64_t width = args->v[0].kind == JJ_MISSING ? 80 : jj_need_int(j, args->v[0], "a width");

    return jj_of_str(jj_pad(j, jj_to_str(j, self), width, jj_str_c(j, " "), 0));
}

JJ_FILTER(string)
{
    (void)args;
    return jj_of_str(jj_to_str(j, self));
}

static struct jj_value marked(struct jj *j, const struct jj_str *s)
{
    struct jj_str *m = (struct jj_str *)jj_alloc(j, sizeof *m);

    *m = *s;
    m->markup = true;
    return jj_of_str(m);
}

JJ_FILTER(safe)
{
    (void)args;
    return marked(j, jj_to_str(j, self));
}

const struct jj_str *jj_escape(struct jj *j, const struct jj_str *s)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    struct jj_text t = {0};
    size_t plain = 0;

    if (s->markup)
        return s;
    jj_spend_chars(j, s->n);
    for (size_t i = 0; i < s->n; i++) {
        const char *found = memchr(from, s->p[i], sizeof from - 1);

        if (!found)
            continue;
        jj_text_cut(j, &t, s, plain, i);
        jj_text_c(j, &t, to[found - from], jj_str_src(s, i));
        plain = i + 1;
    }
    jj_text_cut(j, &t, s, plain, s->n);
    return marked(j, jj_text_end(j, &t)).s;
}

JJ_FILTER(escape)
{
    (void)args;
    return jj_of_str(jj_escape(j, jj_to_str(j, self)));
}

JJ_FILTER(forceescape)
{
    struct jj_str plain = *jj_to_str(j, self);

    (void)args;
    plain.markup = false;
    return jj_of_str(jj_escape(j, &plain));
}

JJ_FILTER(format)
{
    const struct jj_str *s = jj_to_str(j, self);
    struct jj_dict *d = jj_dict(j);
    struct jj_list *l = jj_list(j);

    if (args->n && args->n_keywords)
        jj_raise(j, "can't handle positional and keyword arguments at the same time");
    for (size_t i = 0; i < args->n_keywords; i++)
        jj_dict_set(j, d, jj_of_str(args->keywords[i].name), args->keywords[i].value);
    for (size_t i = 0; i < args->n; i++)
        jj_push(j, l, args->v[i]);
    return jj_percent(j, s, args->n_keywords ? jj_of_dict(d) : jj_of_list(JJ_TUPLE, l));
}

static const struct jj_str *json_indent(struct jj *j, struct jj_value v)
{
    struct jj_text t = {0};

    if (!jj_given(v))
        return NULL;
    if (v.kind == JJ_STR)
        return v.s;
    jj_text_repeat(j, &t, jj_str_c(j, " "), jj_need_int(j, v, "tojson's indent"));
    return jj_text_end(j, &t);
}

JJ_FILTER(tojson)
{
    struct jj_json_style style = {.ascii = jj_opt_bool(args->v[0], false),
                                  .sorted = jj_opt_bool(args->v[3], false),
                                  .indent = json_indent(j, args->v[1]),
                                  .after_key = jj_str_c(j, ": ")};
    struct jj_text t = {0};
    struct jj_list *pair;

    style.between = jj_str_c(j, style.indent ? "," : ", ");
    if (jj_given(args->v[2])) {
        pair = jj_items(j, args->v[2]);
        if (pair->n != 2)
            jj_raise(j, "tojson's separators are two");
        style.between = jj_need_str(j, pair->v[0], "a separator");
        style.after_key = jj_need_str(j, pair->v[1], "a separator");
    }
    jj_write_json(j, &t, self, &style);
    return jj_of_str(jj_text_end(j, &t));
}

JJ_FILTER(wordcount)
{
    const struct jj_str *s = jj_to_str(j, self);
    int64_t words = 0;
    bool inside = false;

    (void)args;
    jj_spend_chars(j, s->n);
    for (size_t at = 0; at < s->n;) {
        bool word = fg_unicode_word(jj_next_char(s, &at));

        words += word && !inside;
        inside = word;
    }
    return jj_int(words);
}

/* Without what stands between `open` and `close`. */
static const struct jj_str *cut_out(struct jj *j, const struct jj_str *s, const char *open,
                                    const char *close)
{
    const struct jj_str *from = jj_str_c(j, open), *to = jj_str_c(j, close);
    struct jj_text t = {0};
    size_t at = 0, begin, end;

    while ((begin = jj_str_find(j, s, from, at, s->n)) != SIZE_MAX) {
        end = jj_str_find(j, s, to, begin, s->n);
        if (end == SIZE_MAX)
            break;
        jj_text_cut(j, &t, s, at, begin);
        at = end + to->n;
    }
    jj_text_cut(j, &t, s, at, s->n);
    return jj_text_end(j, &t);
}

JJ_FILTER(striptags)
{
    static const char *const entities[][2] = {
        {"&lt;", "<"},  {"&gt;", ">"},   {"&quot;", "\""},     {"&#34;", "\""},
        {"&#39;", "'"}, {"&apos;", "'"}, {"&nbsp;", "\u00a0"}, {"&amp;", "&"}};
    const struct jj_str *s = cut_out(j, jj_to_str(j, self), "<!--", "-->");
    struct jj_list *words = jj_split(j, cut_out(j, s, "<", ">"), NULL, -1);
    struct jj_text t = {0};

    (void)args;
    for (size_t i = 0; i < words->n; i++) {
        jj_text_c(j, &t, i ? " " : "", jj_str_one_src(words->v[i].s));
        jj_text_str(j, &t, words->v[i].s);
    }
    s = jj_text_end(j, &t);
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        const struct jj_str *to =
            jj_str(j, entities[i][1], strlen(entities[i][1]), jj_str_one_src(s));

        s = jj_replace(j, s, jj_str_c(j, entities[i][0]), to, -1);
    }
    return jj_of_str(s);
}
