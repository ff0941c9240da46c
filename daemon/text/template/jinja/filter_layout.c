#include <string.h>

#include "filters.h"
#include "text.h"
#include "unicode.h"

FG_JJ_FILTER(indent)
{
    const struct fg_jj_str *s, *by;
    bool blank = fg_jj_opt_bool(args->v[2], false), first = fg_jj_opt_bool(args->v[1], false);
    struct fg_jj_text t = {0}, width = {0};
    struct fg_jj_list *lines;

    fg_jj_defined(j, self);
    if (self.kind != FG_JJ_STR)
        fg_jj_raise(j, "indent needs a string, not '%s'", fg_jj_type(self));
    if (args->v[0].kind == FG_JJ_STR) {
        by = args->v[0].s;
    } else {
        fg_jj_text_repeat(
            j, &width, fg_jj_str_c(j, " "),
            args->v[0].kind == FG_JJ_MISSING ? 4 : fg_jj_need_int(j, args->v[0], "a width"));
        by = fg_jj_text_end(j, &width);
    }
    fg_jj_text_str(j, &t, self.s);
    fg_jj_text_c(j, &t, "\n", fg_jj_str_one_src(self.s));
    s = fg_jj_text_end(j, &t);
    lines = fg_jj_lines(j, s, false);
    t = (struct fg_jj_text){0};
    for (size_t i = 0; i < lines->n; i++) {
        const struct fg_jj_str *line = lines->v[i].s;

        fg_jj_text_c(j, &t, i ? "\n" : "", fg_jj_str_one_src(s));
        if (i ? blank || line->n : first)
            fg_jj_text_str(j, &t, by);
        fg_jj_text_str(j, &t, line);
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

FG_JJ_FILTER(truncate)
{
    const struct fg_jj_str *end, *cut;
    int64_t length =
        args->v[0].kind == FG_JJ_MISSING ? 255 : fg_jj_need_int(j, args->v[0], "a length");
    int64_t leeway = fg_jj_opt_int(j, args->v[3], 5, "a leeway");
    struct fg_jj_text t = {0};
    struct fg_jj_list *parts;

    end = args->v[2].kind == FG_JJ_MISSING ? fg_jj_str_c(j, "...")
                                           : fg_jj_need_str(j, args->v[2], "truncate's end");
    if (length < (int64_t)end->chars)
        fg_jj_raise(j, "expected length >= %zu, got %lld", end->chars, (long long)length);
    if (leeway < 0)
        fg_jj_raise(j, "expected leeway >= 0, got %lld", (long long)leeway);
    if (leeway >= (int64_t)fg_jj_length(j, self) - length)
        return self;
    if (self.kind != FG_JJ_STR)
        fg_jj_raise(j, "truncate needs a string, not '%s'", fg_jj_type(self));
    cut = fg_jj_str_cut(j, self.s, 0, fg_jj_str_offset(self.s, (size_t)length - end->chars));
    if (!fg_jj_opt_bool(args->v[1], false)) {
        parts = fg_jj_rsplit(j, cut, fg_jj_str_c(j, " "), 1);
        cut = parts->v[0].s;
    }
    fg_jj_text_str(j, &t, cut);
    fg_jj_text_str(j, &t, end);
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

/* --- wordwrap --- */

struct wrap {
    struct fg_jj *j;
    const struct fg_jj_str *line;
    struct fg_jj_text *out;
    const struct fg_jj_str *between; /* lines */
    size_t width;                    /* characters */
    bool break_words, break_hyphens;
    /* The line under way: bytes [from, to) of `line`, so many characters. */
    size_t from, to, chars;
    bool any; /* a line was written */
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void end_line(struct wrap *w)
{
    size_t to = w->to;

    while (to > w->from && is_blank(w->line->p[to - 1]))
        to--;
    if (to > w->from) {
        if (w->any)
            fg_jj_text_str(w->j, w->out, w->between);
        fg_jj_text_cut(w->j, w->out, w->line, w->from, to);
        w->any = true;
    }
    w->from = w->to;
    w->chars = 0;
}

static size_t chars_of(const struct fg_jj_str *s, size_t from, size_t to)
{
    size_t n = 0;

    for (; from < to; n++)
        fg_jj_next_char(s, &from);
    return n;
}

/* A hyphen at `at` that a line may end behind: letters around it. */
static bool breaks_at(const struct fg_jj_str *s, size_t word, size_t at)
{
    size_t before = at, after = at + 1;

    if (s->p[at] != '-' || at + 1 >= s->n || at < word + 2)
        return false;
    return fg_unicode_alpha(fg_jj_prev_char(s, &before)) && before > word &&
           fg_unicode_word(fg_jj_prev_char(s, &before)) &&
           fg_unicode_alpha(fg_jj_next_char(s, &after));
}

/* Where the piece at `at` ends: white space, or a word, or a word's part up to a hyphen. */
static size_t piece_end(const struct wrap *w, size_t at)
{
    const struct fg_jj_str *s = w->line;
    size_t end = at;

    if (is_blank(s->p[at])) {
        while (end < s->n && is_blank(s->p[end]))
            end++;
        return end;
    }
    while (end < s->n && !is_blank(s->p[end])) {
        if (w->break_hyphens && breaks_at(s, at, end))
            return end + 1;
        end++;
    }
    return end;
}

/* A word that is longer than a line. */
static void add_long(struct wrap *w, size_t end)
{
    while (w->break_words && chars_of(w->line, w->to, end) > w->width - w->chars) {
        for (; w->chars < w->width; w->chars++)
            fg_jj_next_char(w->line, &w->to);
        end_line(w);
        fg_jj_spend(w->j, 1);
    }
    if (!w->break_words && w->chars)
        end_line(w);
    w->chars += chars_of(w->line, w->to, end);
    w->to = end;
}

static void wrap_line(struct wrap *w)
{
    w->from = w->to = w->chars = 0;
    w->any = false;
    while (w->to < w->line->n) {
        size_t end = piece_end(w, w->to), chars = chars_of(w->line, w->to, end);
        bool blank = is_blank(w->line->p[w->to]);

        fg_jj_spend(w->j, 1 + chars / 64);
        if (blank && !w->chars && w->any) { /* no line but the first begins with it */
            w->from = w->to = end;
            continue;
        }
        if (w->chars + chars <= w->width) {
            w->chars += chars;
            w->to = end;
            continue;
        }
        if (chars > w->width) {
            add_long(w, end);
            continue;
        }
        end_line(w);
    }
    end_line(w);
}

FG_JJ_FILTER(wordwrap)
{
    const struct fg_jj_str *s = fg_jj_need_str(j, self, "what is wrapped");
    int64_t width =
        args->v[0].kind == FG_JJ_MISSING ? 79 : fg_jj_need_int(j, args->v[0], "a width");
    struct fg_jj_list *lines = fg_jj_lines(j, s, false);
    struct fg_jj_text t = {0};
    struct wrap w = {.j = j,
                     .out = &t,
                     .between = fg_jj_given(args->v[2])
                                    ? fg_jj_to_str(j, args->v[2])
                                    : fg_jj_str(j, "\n", 1, fg_jj_str_one_src(s)),
                     .break_words = fg_jj_opt_bool(args->v[1], true),
                     .break_hyphens = fg_jj_opt_bool(args->v[3], true)};

    if (width <= 0)
        fg_jj_raise(j, "invalid width %lld (must be > 0)", (long long)width);
    w.width = (size_t)width;
    for (size_t i = 0; i < lines->n; i++) {
        if (i)
            fg_jj_text_str(j, &t, w.between);
        w.line = lines->v[i].s;
        wrap_line(&w);
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

/* --- for the web --- */

static void add_quoted(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, bool query)
{
    static const char hex[] = "0123456789ABCDEF";

    fg_jj_spend_chars(j, s->n);
    for (size_t i = 0; i < s->n; i++) {
        unsigned char c = (unsigned char)s->p[i];
        bool plain = (c | 32) >= 'a' && (c | 32) <= 'z';
        char escape[3] = {'%', hex[c >> 4], hex[c & 15]};

        plain = plain || (c >= '0' && c <= '9') || (c && strchr("_.-~", c)) || (c == '/' && !query);
        if (plain)
            fg_jj_text_cut(j, t, s, i, i + 1);
        else if (c == ' ' && query)
            fg_jj_text_add(j, t, "+", 1, fg_jj_str_src(s, i));
        else
            fg_jj_text_add(j, t, escape, 3, fg_jj_str_src(s, i));
    }
}

FG_JJ_FILTER(urlencode)
{
    struct fg_jj_text t = {0};
    struct fg_jj_list *l;

    (void)args;
    if (self.kind == FG_JJ_STR || (self.kind != FG_JJ_UNDEFINED && self.kind < FG_JJ_LIST)) {
        add_quoted(j, &t, fg_jj_to_str(j, self), false);
        return fg_jj_of_str(fg_jj_text_end(j, &t));
    }
    l = self.kind == FG_JJ_DICT ? fg_jj_filter_items(j, self, args).list : fg_jj_items(j, self);
    for (size_t i = 0; i < l->n; i++) {
        struct fg_jj_list *pair = fg_jj_items(j, l->v[i]);

        if (pair->n != 2)
            fg_jj_raise(j, "urlencode needs pairs");
        fg_jj_text_c(j, &t, i ? "&" : "", 0);
        add_quoted(j, &t, fg_jj_to_str(j, pair->v[0]), true);
        fg_jj_text_c(j, &t, "=", 0);
        add_quoted(j, &t, fg_jj_to_str(j, pair->v[1]), true);
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

static void check_attribute_name(struct fg_jj *j, const struct fg_jj_str *name)
{
    for (size_t at = 0; at < name->n;) {
        uint32_t c = fg_jj_next_char(name, &at);

        if (fg_unicode_space(c) || c == '/' || c == '>' || c == '=')
            fg_jj_raise(j, "Invalid character in attribute name: '%.*s'", (int)name->n, name->p);
    }
}

FG_JJ_FILTER(xmlattr)
{
    struct fg_jj_text t = {0};
    bool first = true, space = fg_jj_opt_bool(args->v[0], true);

    fg_jj_defined(j, self);
    if (self.kind != FG_JJ_DICT)
        fg_jj_raise(j, "'%s' object has no attribute 'items'", fg_jj_type(self));
    for (size_t i = 0; i < self.dict->n; i++) {
        const struct fg_jj_pair *p = &self.dict->pairs[i];
        const struct fg_jj_str *name;

        if (p->value.kind == FG_JJ_NONE || p->value.kind == FG_JJ_UNDEFINED)
            continue;
        name = fg_jj_need_str(j, p->key, "an attribute's name");
        check_attribute_name(j, name);
        fg_jj_text_c(j, &t, first && !space ? "" : " ", 0);
        first = false;
        fg_jj_text_str(j, &t, fg_jj_escape(j, name));
        fg_jj_text_c(j, &t, "=\"", 0);
        fg_jj_text_str(j, &t, fg_jj_escape(j, fg_jj_to_str(j, p->value)));
        fg_jj_text_c(j, &t, "\"", 0);
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}
